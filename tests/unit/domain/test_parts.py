from hypothesis import given
from hypothesis import strategies as st

from service.domain.parts import is_pruning_step, parts_done

PARTS = st.integers(2, 100)
STEPS = st.integers(1, 300)


def asked_at(fractions: list[float], parts: int, warmup_steps: int = 0) -> list[float]:
    """The fractions at which a run that passes through `fractions` asks the pruner."""
    before, asked = 0.0, []
    for step, fraction in enumerate(fractions, start=1):
        if is_pruning_step(before, fraction, step <= warmup_steps, parts):
            asked.append(fraction)
        before = before if step <= warmup_steps else fraction
    return asked


@given(steps=STEPS, parts=PARTS)
def test_the_pruner_is_asked_at_most_once_a_part_and_never_at_the_end(steps: int, parts: int) -> None:
    asked = asked_at([step / steps for step in range(1, steps + 1)], parts)
    reached = [parts_done(fraction, parts) for fraction in asked]
    assert len(set(reached)) == len(reached)
    assert all(0 < part < parts for part in reached)


@given(steps=STEPS, parts=PARTS)
def test_with_enough_steps_the_pruner_is_asked_where_every_part_but_the_last_ends(steps: int, parts: int) -> None:
    asked = asked_at([step / (steps * parts) for step in range(1, steps * parts + 1)], parts)
    assert [parts_done(fraction, parts) for fraction in asked] == list(range(1, parts))


@given(steps=STEPS, parts=PARTS)
def test_fractions_that_were_added_up_reach_the_same_parts_as_exact_ones(steps: int, parts: int) -> None:
    added, total = [], 0.0
    for _ in range(steps):
        total += 1 / steps
        added.append(total)
    exact = [step / steps for step in range(1, steps + 1)]
    reached = [[parts_done(fraction, parts) for fraction in asked_at(fractions, parts)] for fractions in (added, exact)]
    assert reached[0] == reached[1]


@given(steps=STEPS, parts=PARTS, warmup=st.integers(0, 300))
def test_the_pruner_is_never_asked_in_warm_up_and_right_after_it_for_all_parts_that_ended_there(
    steps: int, parts: int, warmup: int
) -> None:
    fractions = [step / steps for step in range(1, steps + 1)]
    warmup_end = min(warmup, steps) / steps
    asked = asked_at(fractions, parts, warmup)
    assert all(fraction > warmup_end for fraction in asked)
    after = next((fraction for fraction in fractions if fraction > warmup_end), 1.0)
    if after < 1 and parts_done(after, parts) > 0:
        assert asked[0] == after


def test_a_run_of_a_single_step_is_never_asked() -> None:
    assert asked_at([1.0], 4) == []


def test_a_step_that_ends_two_parts_at_once_is_asked_once() -> None:
    assert asked_at([0.5, 1.0], 4) == [0.5]

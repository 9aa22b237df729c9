"""Which points a bayesian job repeats: a pure function of what is stored."""

import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.domain.objective import Direction
from service.domain.spec import JobSpec
from service.search.next_trial import points_to_try_first, propose_next
from service.search.preview import first_points
from service.search.pruning import ask_pruner
from service.search.sampling import distributions
from service.search.snapshot import EMPTY, StudySnapshot
from service.search.strategies.bayesian import BEST, EVERY, STARTUP, may_repeat, to_repeat
from tests.factories import job_spec

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "mode": {"type": "categorical", "choices": ["plain", "fancy"]},
    "momentum": 0.9,
}
TURN = STARTUP + EVERY - 1
"""The first number that may repeat."""
COMPLETE, RUNNING, FAIL, PRUNED = TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL, TrialState.PRUNED


def spec(replicates: int = 3, **overrides: Any) -> JobSpec:
    return job_spec(
        **{"search_space": SPACE, "strategy": "bayesian", "budget": {"trials": 60}, "replicates": replicates} | overrides
    )


def tried(
    number: int,
    learning_rate: float,
    value: float | None = None,
    replicate: Any = 0,
    state: TrialState | None = None,
    **kept: Any,
) -> FrozenTrial:
    """A trial at a rate, complete where it has a value, else under way."""
    state = state or (RUNNING if value is None else COMPLETE)
    trial = create_trial(
        state=state,
        value=value,
        params={"learning_rate": learning_rate, "mode": "plain"},
        distributions=distributions(spec()),
        user_attrs={} if replicate is None else {"replicate": replicate},
        **kept,
    )
    trial.number = trial._trial_id = number
    return trial


def repeated(*trials: FrozenTrial, number: int = TURN, direction: Direction = "minimize", of: JobSpec | None = None) -> Any:
    """(rate, replicate) of what is repeated."""
    found = to_repeat(of or spec(direction=direction), trials, number)
    return None if found is None else (found[0]["learning_rate"], found[1])


def test_after_the_first_ten_every_third_trial_may_repeat_and_so_may_the_last_four_of_three_seeds() -> None:
    assert [number for number in range(60) if may_repeat(spec(), number)] == [
        *(12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45, 48, 51, 54),
        *(56, 57, 58, 59),
    ]


LAST = [(2, 32, 2), (3, 32, 4), (10, 32, 10), (100, 32, 10), (3, 6, 2), (3, 3, 1), (2, 2, 0), (3, 1, 0)]


@pytest.mark.parametrize(("replicates", "trials", "last"), LAST)
def test_the_last_trials_repeat_but_no_more_than_a_third_of_all(replicates: int, trials: int, last: int) -> None:
    bounded, open_ended = spec(replicates, budget={"trials": trials}), spec(replicates, budget={"seconds": 60})
    third = {number for number in range(trials) if may_repeat(open_ended, number)}
    found = {number for number in range(trials) if may_repeat(bounded, number)}
    assert found == third | set(range(trials - last, trials))


def test_where_the_budget_does_not_say_when_the_job_ends_every_third_trial_may_repeat() -> None:
    numbers = [number for number in range(1_000) if may_repeat(spec(budget={"seconds": 60}), number)]
    assert numbers == list(range(TURN, 1_000, EVERY))


def test_without_replicates_nothing_is_repeated() -> None:
    assert repeated(tried(0, 0.1, 1.0), of=spec(1)) is None


def test_the_best_point_is_repeated_with_the_first_seed_that_it_lacks() -> None:
    trials = [tried(0, 0.1, 1.0), tried(1, 0.01, 0.5), tried(2, 0.001, 2.0)]
    assert repeated(*trials) == (0.01, 1)
    assert repeated(*trials, direction="maximize") == (0.001, 1)
    trials.append(tried(3, 0.01, 0.5, replicate=1))
    assert repeated(*trials) == (0.01, 2)


def test_a_point_is_as_good_as_the_mean_over_its_seeds() -> None:
    lucky = [tried(0, 0.1, 0.0), tried(1, 0.1, 3.0, replicate=1), tried(2, 0.01, 1.0)]
    assert repeated(*lucky) == (0.01, 1)


def test_a_replicate_under_way_is_not_begun_again() -> None:
    assert repeated(tried(0, 0.1, 1.0), tried(1, 0.1, replicate=1)) == (0.1, 2)
    assert repeated(tried(0, 0.1, 1.0), tried(1, 0.1, replicate=1), tried(2, 0.1, replicate=2)) is None


@pytest.mark.parametrize("state", [FAIL, PRUNED])
def test_a_seed_that_failed_or_was_pruned_is_not_tried_again(state: TrialState) -> None:
    assert repeated(tried(0, 0.1, 1.0), tried(1, 0.1, replicate=1, state=state)) == (0.1, 2)


@pytest.mark.parametrize("state", [FAIL, PRUNED, RUNNING])
def test_a_point_of_which_nothing_is_complete_is_not_repeated(state: TrialState) -> None:
    assert repeated(tried(0, 0.1, state=state)) is None


@pytest.mark.parametrize(("direction", "worst"), [("minimize", math.inf), ("maximize", -math.inf)])
def test_a_point_that_diverged_with_any_of_its_seeds_is_not_repeated(direction: Direction, worst: float) -> None:
    trials = [tried(0, 0.3, 0.1), tried(1, 0.3, worst, replicate=1), tried(2, 0.9, worst)]
    assert repeated(*trials, direction=direction) is None


def test_when_the_best_have_all_their_seeds_the_others_are_not_repeated() -> None:
    rates = [10.0**-exponent for exponent in range(1, 5)]
    best = [tried(3 * i + r, rate, 0.1 * i, replicate=r) for i, rate in enumerate(rates) for r in range(3)]
    assert len(rates) == BEST
    assert repeated(*best, tried(20, 0.5, 7.0), number=21) is None
    assert repeated(*best[:-1], tried(20, 0.5, 7.0), number=21) == (1e-4, 2)


def test_foreign_trials_count_as_first_replicates_where_they_try_points_of_the_space() -> None:
    foreign = create_trial(
        value=0.1, params={"learning_rate": 0.2}, distributions={"learning_rate": FloatDistribution(1e-5, 2.0, log=True)}
    )
    assert repeated(foreign, tried(1, 0.1, 1.0, replicate=None)) == (0.1, 1)
    assert repeated(tried(0, 0.1, 1.0, replicate="first"), tried(1, 0.1, 1.0, replicate=99)) == (0.1, 1)
    enqueued = create_trial(state=TrialState.WAITING)
    assert repeated(tried(0, 0.1, 1.0), enqueued) == (0.1, 1)


def test_a_value_at_the_end_of_all_numbers_is_no_obstacle() -> None:
    trials = [tried(0, 0.1, 1.7e308), tried(1, 0.1, 1.7e308, replicate=1), tried(2, 0.01, 1.0)]
    assert repeated(*trials) == (0.01, 1)


def ask(document: JobSpec, trials: list[FrozenTrial], number: int, next_point: int = 0) -> Any:
    return propose_next(document, StudySnapshot(trials=trials, attrs={}), number=number, next_point=next_point)


def test_a_repeat_has_the_point_to_the_last_bit_and_as_optuna_stores_it() -> None:
    rate = ask(spec(), [], 3).point["learning_rate"]
    assert isinstance(rate, float)
    proposal = ask(spec(), [tried(0, rate, 1.0)], TURN)
    assert (proposal.number, proposal.replicate, proposal.point) == (TURN, 1, {"learning_rate": rate, "mode": "plain"})
    assert [(param.name, param.external) for param in proposal.params] == [("learning_rate", rate), ("mode", "plain")]


@given(st.data())
def test_whatever_becomes_of_its_trials_a_job_trains_each_seed_of_a_point_at_most_once(data: st.DataObject) -> None:
    replicates, trials = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 45))
    document, explore = spec(replicates, budget={"trials": trials}), random.Random(data.draw(st.integers(0, 9)))
    seen: list[FrozenTrial] = []
    for number in range(trials):
        found = to_repeat(document, seen, number)
        rate, replicate = (found[0]["learning_rate"], found[1]) if found else (explore.uniform(1e-5, 1.0), 0)
        state = data.draw(st.sampled_from([COMPLETE, COMPLETE, COMPLETE, RUNNING, FAIL, PRUNED]))
        value = explore.choice([explore.random(), math.inf]) if state is COMPLETE else None
        seen.append(tried(number, float(rate), value, replicate, state))
    begun = Counter((trial.params["learning_rate"], trial.user_attrs["replicate"]) for trial in seen)
    assert set(begun.values()) == {1}
    assert {replicate for _, replicate in begun} <= set(range(replicates))


@pytest.mark.parametrize("replicates", [2, 3, 5])
def test_in_the_end_the_best_point_has_all_its_seeds_though_they_differ_as_much_as_points_do(replicates: int) -> None:
    whole = 0
    for seed in range(40):
        rng, seen = random.Random(seed), list[FrozenTrial]()
        for number in range(48):
            found = to_repeat(spec(replicates, budget={"trials": 48}), seen, number)
            rate, replicate = (float(found[0]["learning_rate"]), found[1]) if found else (10 ** rng.uniform(-4, 0), 0)
            loss = (math.log10(rate) + 2) ** 2 + rng.gauss(0, 0.3)
            seen.append(tried(number, rate, loss, replicate))
        by_rate: dict[float, list[float]] = {}
        for trial in seen:
            by_rate.setdefault(trial.params["learning_rate"], []).append(trial.values[0])
        best = min(by_rate.values(), key=lambda losses: sum(losses) / len(losses))
        whole += len(best) == replicates
        assert len(by_rate) >= 48 // 2, "it explores"
    assert whole >= 36


# try_first


@pytest.mark.parametrize("strategy", ["random", "bayesian", {"type": "random", "sampler": "qmc"}])
def test_all_replicates_of_a_point_to_try_first_are_enqueued_with_the_same_parameters(strategy: Any) -> None:
    document = spec(strategy=strategy, try_first=[{"learning_rate": 0.5, "momentum": 0.9}, {"mode": "fancy"}, {}])
    enqueued = points_to_try_first(document)
    assert [replicate for _, replicate in enqueued] == [0, 1, 2] * 3
    points = [point for point, _ in enqueued]
    assert points[0:3] == [points[0]] * 3
    assert points[3:6] == [points[3]] * 3
    assert points[6:9] == [points[6]] * 3
    assert (points[0]["learning_rate"], points[3]["mode"]) == (0.5, "fancy")
    assert all(point.keys() == {"learning_rate", "mode"} for point in points)
    assert len({point["learning_rate"] for point in points}) == 3


def test_without_replicates_what_a_point_leaves_open_is_left_to_the_sampler() -> None:
    assert points_to_try_first(spec(1, try_first=[{"mode": "fancy", "momentum": 0.9}, {}])) == [
        ({"mode": "fancy"}, 0),
        ({}, 0),
    ]


# The first points


@pytest.mark.parametrize("strategy", ["random", "grid"])
def test_the_points_are_those_of_a_job_without_replicates(strategy: str) -> None:
    space = {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 9}}
    shown = [first_points(spec(replicates, strategy=strategy, search_space=space)) for replicates in (1, 2)]
    assert shown[1] == [shown[0][index] for index in (0, 0, 1, 1, 2)]


def test_a_dry_run_shows_no_repeats_that_depend_on_results() -> None:
    counts = [len(first_points(spec(3, budget={"trials": trials}))) for trials in range(1, 9)]
    assert counts == [1, 2, 2, 3, 4, 4, 5, 5]


def test_a_uniform_draw_depends_on_the_place_of_its_point_alone() -> None:
    document = spec(strategy="random")
    drawn = [ask(document, [], number, next_point=4) for number in (4, 9)]
    assert drawn[0].point == drawn[1].point == ask(document, [], 5, next_point=5).point
    assert [proposal.number for proposal in drawn] == [4, 9]
    assert [(proposal.replicate, proposal.takes_point) for proposal in drawn] == [(1, True)] * 2


# Pruning


def test_pruners_do_not_see_repeats_of_the_best_points_in_a_bayesian_job() -> None:
    """Four good ones beside four bad ones would move the median between them."""
    curve = {part: float(part) for part in (1, 2, 3, 4)}
    bad = [tried(number, 0.1 + number / 100, 9.0, intermediate_values={p: 9.0 for p in curve}) for number in range(5)]
    good = [tried(5 + r, 0.01, 0.0, replicate=r, intermediate_values={p: 0.0 for p in curve}) for r in range(1, 8)]
    own = tried(20, 0.05, intermediate_values={1: 5.0})

    def prunes(strategy: str, *trials: FrozenTrial) -> bool:
        document = spec(8, strategy=strategy, pruner="median")
        return ask_pruner(document, StudySnapshot(trials=[*trials, own], attrs={}), own)[0]

    assert not prunes("bayesian", *bad)
    assert not prunes("bayesian", *bad, *good)
    assert prunes("random", *bad, *good), "there every point is tried as often"


def test_what_a_job_without_replicates_asks_its_sampler_is_what_it_asked_before() -> None:
    for strategy in ("random", "bayesian", {"type": "random", "sampler": "qmc"}):
        proposal = propose_next(spec(1, strategy=strategy), EMPTY, number=7, next_point=0)
        assert (proposal.replicate, proposal.takes_point, proposal.trial_attrs) == (0, False, {})


@pytest.mark.parametrize(("first", "second"), [(0.1 * 46, 4.6), (4.6, 0.1 * 46)])
def test_a_step_that_an_earlier_version_stored_as_floats_add_up_is_the_point_repeated(first: float, second: float) -> None:
    of_steps = spec(search_space={"decay": {"type": "float", "low": 0.0, "high": 10.0, "step": 0.1}, "learning_rate": 0.1})
    trials = [
        create_trial(
            value=1.0, params={"decay": decay}, distributions=distributions(of_steps), user_attrs={"replicate": replicate}
        )
        for replicate, decay in enumerate([first, second])
    ]
    assert to_repeat(of_steps, trials, TURN) == ({"decay": first}, 2)

"""Each field of the answer, and each honest refusal."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service.analysis.answer.best_lr import answer
from service.domain.answer import Answer, AnswerVerdict
from service.domain.trial import TrialState
from tests.finished_jobs import trial
from tests.unit.analysis.answer.asked import BEST, asked
from tests.unit.analysis.trials import LOG, bowl, diverged, job, trained


def test_the_interval_holds_the_best_rate_and_the_answer_lies_in_it() -> None:
    found = asked(trained(bowl(BEST), 32))
    assert found.interval is not None
    assert found.learning_rate is not None
    assert found.interval.low <= found.learning_rate <= found.interval.high
    assert found.interval.low <= BEST <= found.interval.high
    assert found.interval.high / found.interval.low < 2
    assert found.verdict == AnswerVerdict.CONFIDENT
    assert "with 90% probability" in found.because


def test_an_interval_of_few_exact_runs_has_a_width() -> None:
    # A log of twelve runs that lie on a parabola, but for a hundredth, in a range of six decades.
    rates = [0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.007]
    space = {"learning_rate": LOG | {"low": 1e-5, "high": 10.0}, "batch_size": {"type": "categorical", "choices": [16, 32, 64]}}
    trials = [
        trial(number, rate, bowl(0.01, 0.3, 0.4)(rate) + 0.003 * (number % 3), batch_size=(32, 64)[number % 2])
        for number, rate in enumerate(rates)
    ]
    found = asked(trials, search_space=space)
    for interval in (found.interval, found.interval_at_params):
        assert interval is not None
        assert interval.low < interval.high


def test_noise_widens_the_interval_and_trials_narrow_it() -> None:
    def width(n: int, noise: float) -> float:
        interval = asked(trained(bowl(BEST), n, noise=noise)).interval
        assert interval is not None
        return math.log10(interval.high / interval.low)

    assert width(32, 0.1) > 2 * width(32, 0.02)
    assert width(128, 0.1) < 0.7 * width(32, 0.1)


def test_the_answer_is_closer_than_the_luckiest_trial() -> None:
    for seed in range(5):
        found = asked(trained(bowl(BEST), 48, noise=0.2, seed=seed))
        assert found.learning_rate is not None
        assert found.best_trial is not None
        lucky = abs(math.log10(float(found.best_trial.params["learning_rate"]) / BEST))
        assert abs(math.log10(found.learning_rate / BEST)) < max(0.15, lucky)


def test_the_safe_range_is_where_the_loss_is_within_the_tolerance() -> None:
    found = answer(job(), trained(bowl(BEST, curvature=0.4), 64), tolerance=0.1)
    reach = math.sqrt(0.1 / 0.4)  # decades
    assert found.safe_range is not None
    assert found.safe_range.tolerance == 0.1
    assert math.log10(found.safe_range.low / BEST) == pytest.approx(-reach, abs=0.08)
    assert math.log10(found.safe_range.high / BEST) == pytest.approx(reach, abs=0.08)


def test_the_tolerance_is_the_noise_of_training_unless_another_is_asked_for() -> None:
    found = asked(trained(bowl(BEST), 64, noise=0.1))
    assert found.safe_range is not None
    assert found.safe_range.tolerance == pytest.approx(0.1, rel=0.3)


def test_the_expected_loss_is_that_of_the_curve_and_not_of_the_luckiest_trial() -> None:
    found = asked(trained(bowl(BEST, floor=0.2), 48, noise=0.05))
    assert found.expected is not None
    assert found.best_trial is not None
    assert found.best_trial.value is not None
    assert found.best_trial.value < 0.17
    assert found.expected.low < 0.2 < found.expected.high
    assert found.expected.mean == pytest.approx(0.2, abs=0.03)


def test_a_metric_to_be_maximized_is_answered_in_its_own_units() -> None:
    trials = [trial(one.number, one.params["learning_rate"], 1 - (one.value or 0)) for one in trained(bowl(BEST, floor=0.1), 32)]
    found = answer(job(direction="maximize"), trials)
    assert found.expected is not None
    assert found.learning_rate == pytest.approx(BEST, rel=0.3)
    assert found.expected.low < found.expected.mean < found.expected.high
    assert found.expected.mean == pytest.approx(0.9, abs=0.02)
    assert max(part.mean for part in found.curve) == pytest.approx(0.9, abs=0.02)


def test_the_curve_spans_the_range_and_holds_what_was_tried() -> None:
    found = asked(trained(bowl(BEST), 64))
    assert found.curve[0].learning_rate == pytest.approx(1e-4)
    assert found.curve[-1].learning_rate == pytest.approx(1.0)
    for part in found.curve:
        assert part.low <= part.mean <= part.high
        assert part.mean == pytest.approx(bowl(BEST)(part.learning_rate), abs=0.06)


def test_the_divergence_edge_lies_between_what_trained_and_what_diverged() -> None:
    tried = trained(bowl(BEST), 48)
    trials = [diverged(one.number, rate) if (rate := float(one.params["learning_rate"])) > 0.2 else one for one in tried]
    found = asked(trials)
    assert found.divergence_edge is not None
    highest = max(float(one.params["learning_rate"]) for one in trials if one.state is TrialState.COMPLETE)
    lowest = min(float(one.params["learning_rate"]) for one in trials if one.state is TrialState.INFEASIBLE)
    assert found.divergence_edge.low < 0.2 < found.divergence_edge.high
    assert 0.8 * highest <= found.divergence_edge.at <= 1.25 * lowest
    assert found.safe_range is not None
    assert found.safe_range.high < 0.3
    assert found.curve[-1].learning_rate < 0.3
    assert found.verdict == AnswerVerdict.CONFIDENT


def test_nothing_diverged_means_no_edge() -> None:
    assert asked(trained(bowl(BEST), 16)).divergence_edge is None


def test_each_batch_size_and_optimizer_has_an_edge_of_its_own_where_the_trials_tell() -> None:
    space = {
        "learning_rate": LOG,
        "batch_size": {"type": "categorical", "choices": [16, 64]},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
    }
    trials = []
    for one in trained(bowl(0.005), 60):
        size, optimizer = (16, 64)[one.number % 2], ("sgd", "adam")[one.number // 2 % 2]
        rate = float(one.params["learning_rate"])
        params = {"batch_size": size, "optimizer": optimizer}
        beyond = rate > (0.02 if size == 16 else 0.2)
        trials.append(diverged(one.number, rate, **params) if beyond else trial(one.number, rate, one.value, **params))
    found = answer(job(search_space=space), trials)
    edges = {tuple(edge.group.items()): edge for edge in found.divergence_edges}
    assert (("optimizer", "adam"),) in edges
    assert edges[(("batch_size", 16),)].low < 0.02 < edges[(("batch_size", 16),)].high
    assert edges[(("batch_size", 64),)].low < 0.2 < edges[(("batch_size", 64),)].high


def test_the_evidence_counts_the_different_training_seeds() -> None:
    trials = [
        trial(number, one.params["learning_rate"], one.value, user_attrs={"training_seed": number % 3})
        for number, one in enumerate(trained(bowl(BEST), 12))
    ]
    assert asked(trials).evidence.seeds == 3


def test_a_foreign_trial_without_a_seed_counts_as_one_of_its_own() -> None:
    named = [trial(number, 0.01 * (number + 1), 0.5, user_attrs={"training_seed": 7}) for number in range(3)]
    foreign = [trial(number, 0.01 * number, 0.5, user_attrs={"training_seed": "?"}) for number in range(4, 6)]
    assert asked([*named, *foreign]).evidence.seeds == 3


def test_replicates_tell_the_noise() -> None:
    """Nine rates on a grid leave open whether a bump is noise; three seeds of each do not."""

    def grid(replicates: int) -> Answer:
        points = [trial(0, 10 ** (-4 + index / 2), 0.0) for index in range(9)]
        noise = trained(lambda _: 0.0, 9 * replicates, noise=0.1, seed=3)
        trials = []
        for number, one in enumerate(noise):
            rate = float(points[number // replicates].params["learning_rate"])
            trials.append(trial(number, rate, bowl(BEST)(rate) + (one.value or 0), user_attrs={"replicate": number % replicates}))
        return answer(job(replicates=replicates), trials, tolerance=0.05)

    thrice = grid(3)
    assert thrice.interval is not None
    assert thrice.interval.low <= BEST <= thrice.interval.high


def test_the_same_trials_give_the_same_answer() -> None:
    trials = trained(bowl(BEST), 24)
    asked_about = job()
    assert answer(asked_about, trials) == answer(asked_about, trials)


@pytest.mark.parametrize(("best", "edge", "further"), [(1e-6, "low", "lower"), (50.0, "high", "higher")])
def test_a_range_that_does_not_hold_the_optimum_is_too_narrow(best: float, edge: str, further: str) -> None:
    found = asked(trained(bowl(best, curvature=0.1), 32))
    assert (found.verdict, found.at_edge) == (AnswerVerdict.RANGE_TOO_NARROW, edge)
    assert f"{further} ones may be better" in found.because


def test_a_range_that_ends_in_divergence_is_not_too_narrow() -> None:
    tried = trained(bowl(5.0, curvature=0.2), 64)
    found = asked([diverged(one.number, rate) if (rate := float(one.params["learning_rate"])) > 0.3 else one for one in tried])
    assert found.at_edge is None
    assert found.learning_rate is not None
    assert 0.1 < found.learning_rate < 0.4


@pytest.mark.parametrize("seed", range(6))
def test_next_to_divergence_the_safe_range_is_one_or_none_is_told(seed: int) -> None:
    loss = bowl(5.0, curvature=0.2)
    tried = trained(loss, 64, seed=seed)
    found = asked([diverged(one.number, rate) if (rate := float(one.params["learning_rate"])) > 0.3 else one for one in tried])
    assert found.learning_rate is not None
    safe = found.safe_range
    if safe is None:
        assert "of trials diverge at" in found.because
        assert found.verdict == AnswerVerdict.MORE_TRIALS
        return
    assert safe.low <= found.learning_rate <= safe.high < 0.3
    assert safe.high / safe.low > 1.2
    # No more than a tenth of trials diverge in it, each of which costs as much as four fifths of the trials lose.
    assert loss(safe.low) <= loss(found.learning_rate) + safe.tolerance + 0.1 * 1.5


def test_a_fixed_rate_was_not_compared_with_any() -> None:
    found = asked([trial(number, 0.1, 0.5) for number in range(10)], search_space={"learning_rate": 0.1})
    assert found.verdict == AnswerVerdict.RANGE_TOO_NARROW
    assert found.because == "the job fixes the learning rate at 0.1, so there is nothing to compare it with"


def test_trials_that_learned_nothing_are_no_answer_to_trust() -> None:
    trials = [
        trial(one.number, one.params["learning_rate"], 2.3 + 0.001 * one.number, user_attrs={"diagnosis": {"plateaued": "flat"}})
        for one in trained(bowl(BEST), 16)
    ]
    found = asked(trials)
    assert found.verdict == AnswerVerdict.NOTHING_LEARNED
    assert "none of the 16 trials" in found.because


def guessing(returns: Callable[[int], float], n: int = 16) -> Answer:
    """The answer where a constant policy has a return of -200."""
    trials = [
        trial(one.number, one.params["learning_rate"], returns(one.number), user_attrs={"guessing": {"mean_return": -200.0}})
        for one in trained(bowl(BEST), n)
    ]
    return asked(trials, metric="mean_return", direction="maximize")


@pytest.mark.parametrize("returns", [lambda _: -200.0, lambda number: -800.0 + number if number % 3 == 0 else -200.0])
def test_trials_that_are_no_better_than_guessing_make_no_rate_safe(returns: Callable[[int], float]) -> None:
    found = guessing(returns)
    assert found.verdict == AnswerVerdict.NOTHING_LEARNED
    assert found.because.startswith(
        "none of the 16 trials that trained to their end has a better mean_return than guessing, -200: train longer"
    )
    assert (found.safe_range, found.safe_range_retuned, found.recommends) == (None, None, False)


@pytest.mark.parametrize(
    "returns",
    [
        lambda number: -190.0 if number == 5 else -200.0,  # one has reached more
        lambda number: -200.0 if number < 8 else -201.0 - number,  # most are worse, as models that overfit
    ],
)
def test_trials_that_differ_from_guessing_have_learned(returns: Callable[[int], float]) -> None:
    assert guessing(returns).verdict != AnswerVerdict.NOTHING_LEARNED


def test_a_best_trial_that_was_still_improving_is_told() -> None:
    trials = [
        trial(one.number, one.params["learning_rate"], one.value, user_attrs={"diagnosis": {"too_slow": "falling"}})
        for one in trained(bowl(BEST), 32)
    ]
    found = asked(trials)
    assert found.verdict == AnswerVerdict.CONFIDENT
    assert "the best trial was still improving" in found.because


def test_a_metric_that_does_not_care_has_a_wide_safe_range() -> None:
    found = asked(trained(lambda _: 0.5, 32, noise=0.05))
    assert found.safe_range is not None
    assert math.log10(found.safe_range.high / found.safe_range.low) > 3


@pytest.mark.parametrize("attribute", ["plateaued", 7, ["plateaued"], None])
def test_a_foreign_diagnosis_does_not_matter(attribute: Any) -> None:
    trials = [trial(one.number, one.params["learning_rate"], one.value, user_attrs={"diagnosis": attribute})
              for one in trained(bowl(BEST), 16)]  # fmt: skip
    assert asked(trials).verdict in (AnswerVerdict.CONFIDENT, AnswerVerdict.MORE_TRIALS)


def test_equal_values_of_all_trials_are_no_error() -> None:
    found = asked(trained(lambda _: 0.5, 16, noise=0.0))
    assert found.interval is not None
    assert found.expected is not None
    assert found.expected.mean == pytest.approx(0.5)


@settings(max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(
    st.lists(
        st.tuples(
            st.floats(1e-4, 1.0),
            st.floats(-1e12, 1e12),
            st.sampled_from([TrialState.COMPLETE, TrialState.INFEASIBLE, TrialState.PRUNED]),
        ),
        min_size=8,
        max_size=24,
    ),
    st.sampled_from(["minimize", "maximize"]),
)
def test_whatever_trials_show_the_numbers_are_finite_and_in_order(
    drawn: list[tuple[float, float, TrialState]], direction: Any
) -> None:
    trials = [trial(0, 0.5, 1.0)]
    trials += [trial(number, rate, math.inf if state is TrialState.INFEASIBLE else value, state)
               for number, (rate, value, state) in enumerate(drawn, start=1)]  # fmt: skip
    found = answer(job(direction=direction), trials)
    if found.interval is None:
        return
    assert found.learning_rate is not None
    assert found.expected is not None
    safe = found.safe_range
    for low, middle, high in (
        (found.interval.low, found.learning_rate, found.interval.high),
        *([] if safe is None else [(safe.low, found.learning_rate, safe.high)]),
        (found.expected.low, found.expected.mean, found.expected.high),
        *((part.low, part.mean, part.high) for part in found.curve),
    ):
        assert math.isfinite(low)
        assert math.isfinite(high)
        assert low - 1e-9 * abs(low) <= middle <= high + 1e-9 * abs(high)

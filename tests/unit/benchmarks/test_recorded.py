"""Answers on recorded runs: what is true of a set, what a job drawn from it is, and how an answer is judged."""

import math

import numpy as np
import pytest

from benchmarks.recorded import trained
from benchmarks.recorded.figures import against, at_equal_coverage
from benchmarks.recorded.judging import covers, judge
from benchmarks.recorded.promises import table
from benchmarks.recorded.recorded_set import RATE, RecordedSet, sd_of, smoothly, truth_of
from benchmarks.recorded.sampling import STRATEGIES, Draw
from service.domain.trial import TrialState

RATES = [10.0**exponent for exponent in np.linspace(-5, 0, 21)]


def bowl() -> RecordedSet:
    """Best at a rate of 1e-2 with a batch of 32 and at 1e-3 with 8; the highest rates diverge."""
    random = np.random.default_rng(0)
    points = [{RATE: rate, "batch_size": batch} for rate in RATES for batch in (8, 32)]
    away = [math.log10(point[RATE]) + (3 if point["batch_size"] == 8 else 2) for point in points]
    floors = [0.3 if point["batch_size"] == 8 else 0.2 for point in points]
    costs = np.array(floors)[:, None] + np.array(away)[:, None] ** 2 / 5 + random.normal(0, 0.01, (len(points), 6))
    costs[[point[RATE] > 0.4 for point in points]] = math.inf
    return RecordedSet(
        name="bowl",
        space="rate x batch",
        search_space={
            RATE: {"type": "float", "low": RATES[0], "high": RATES[-1], "log": True},
            "batch_size": {"type": "categorical", "choices": [8, 32]},
        },
        points=points,
        runs=costs,
        truth=truth_of(costs),
        sd=sd_of(costs),
    )


class TestRecordedSet:
    def test_the_truth_is_the_mean_and_infinite_where_more_than_a_quarter_diverge(self) -> None:
        nan, inf = math.nan, math.inf
        runs = np.array([[1.0, 3.0, nan, nan], [1.0, 2.0, inf, nan], [1.0, 2.0, 3.0, inf]])
        assert truth_of(runs).tolist() == [2.0, inf, 2.0]

    def test_a_standard_deviation_takes_three_runs(self) -> None:
        found = sd_of(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, math.nan]]))
        assert found[0] == pytest.approx(1.0)
        assert math.isnan(found[1])

    def test_the_best_is_found_over_all_parameters(self) -> None:
        recorded = bowl()
        assert recorded.best_rate == pytest.approx(-2.0)
        assert recorded.best == pytest.approx(0.2, abs=0.02)
        assert recorded.others == [{"batch_size": 8}, {"batch_size": 32}]
        assert not recorded.best_at("low", 0.0)
        assert recorded.best_at("low", 2.0)

    def test_costs_follow_the_curve_between_tabulated_rates(self) -> None:
        recorded = bowl()
        of_32 = recorded.combination({"batch_size": 30})
        assert recorded.others[of_32] == {"batch_size": 32}
        low, high = (recorded.cost_at(rate, of_32) for rate in (-3.0, -2.75))
        assert low > recorded.cost_at(-2.875, of_32) > high
        assert recorded.trains_at(-2.0, of_32)
        assert not recorded.trains_at(0.0, of_32)

    def test_the_curve_between_rates_is_that_of_a_run_trained_there(self) -> None:
        """text-classification at 0.004217, seed 0, has a loss of 0.4164; a straight line leads to 0.4261."""
        recorded = trained.load("text_bag")[0]
        seed_0 = recorded.runs[:, 0]
        kept = np.isfinite(seed_0)
        assert smoothly(math.log10(0.004217), recorded.rates[kept], seed_0[kept]) == pytest.approx(0.4164, abs=0.004)

    def test_up_to_half_a_step_beside_a_rate_that_diverges_the_curve_goes_on(self) -> None:
        recorded = bowl()
        last, of_32 = float(recorded.rates[recorded.rates < math.log10(0.4)][-1]), recorded.combination({"batch_size": 32})
        near, far = (recorded.cost_at(last + away, of_32) for away in (0.12, 0.13))
        assert near == pytest.approx(recorded.cost_at(last, of_32))
        assert far == recorded.finite.max()
        assert recorded.mean_of_runs_at(last + 0.13, of_32) == math.inf

    def test_a_negative_metric_is_interpolated_as_it_is(self) -> None:
        assert smoothly(0.5, np.array([0.0, 1.0, 2.0]), np.array([-2.0, -1.0, 0.0])) == pytest.approx(-1.5)

    def test_beyond_its_ends_a_curve_is_level(self) -> None:
        rates, costs = np.array([0.0, 1.0, 2.0]), np.array([2.0, 1.0, 4.0])
        assert [smoothly(at, rates, costs) for at in (-1.0, 3.0)] == pytest.approx([2.0, 4.0])

    def test_an_interval_has_half_a_step_of_slack_and_holds_what_is_within_tolerance(self) -> None:
        recorded = bowl()
        assert covers(recorded, recorded.profile, -1.88, -1.0, 0.0)
        assert not covers(recorded, recorded.profile, -1.8, -1.0, 0.0)
        assert covers(recorded, recorded.profile, -1.8, -1.0, 0.05)


class TestDraw:
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_trials_are_recorded_runs_and_fewer_are_the_beginning_of_more(self, strategy: str) -> None:
        recorded = bowl()
        trials = Draw(recorded, strategy, 1).trials(20)
        draw = Draw(recorded, strategy, 1)
        assert [trial.params for trial in draw.trials(8)] == [trial.params for trial in trials[:8]]
        assert [trial.value for trial in draw.trials(20)] == [trial.value for trial in trials]
        for trial in trials:
            costs = recorded.runs[draw.point_of(trial)]
            assert trial.value in costs
            assert (trial.state is TrialState.INFEASIBLE) == math.isinf(float(trial.value or 0.0))
        assert len({trial.user_attrs["training_seed"] for trial in trials}) > 1


def test_an_answer_is_judged_and_promises_are_counted() -> None:
    recorded = bowl()
    judged = [one for seed in (0, 1) for one in judge(recorded, "random", seed, (16,))]
    assert all(one.covered and one.regret < 0.2 and len(one.plain_covered) for one in judged)
    equal = at_equal_coverage(judged, 0.9)
    assert equal is not None
    assert equal.level == 0.9
    assert not math.isnan(against(judged, "best_trial").error)
    rows, broken = table(judged, [recorded])
    assert broken == sum(row[2] == "NO" for row in rows.rows)


def test_the_trained_tables_are_whole() -> None:
    for name in ("wine", "breast_cancer", "diabetes"):
        (recorded,) = trained.load(name)
        assert recorded.runs.shape == (37, 12)
        assert 0 < recorded.profile.argmin() < 36
    (accuracies,) = trained.load("wine_accuracy")
    assert accuracies.runs.shape == (25, 10)
    assert not accuracies.has_bars
    assert -1 < accuracies.best < -0.95  # accuracies are maximized: costs are their negatives
    shapes = {recorded.space: recorded.runs.shape for recorded in trained.load("digits")}
    assert shapes == {
        "rate": (31, 10),
        "rate x batch": (124, 10),
        "rate x momentum": (155, 10),
        "rate x batch x momentum": (620, 10),
    }
    points, costs = trained.table("digits")
    assert {point["batch_size"] for point in points} == {16, 32, 64, 128, 256, 512}
    assert len(points) == len(costs) == 682

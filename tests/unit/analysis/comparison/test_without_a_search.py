"""Jobs that search no range of learning rates, beside those that do: what it costs not to tune."""

import math
from statistics import fmean, stdev
from typing import Any

import pytest

from service.analysis.comparison.comparison import compare
from service.analysis.comparison.tuned import AtPoint, Finished, judge
from service.analysis.figures.recipes import best_values_figure, curves_figure
from service.domain.comparison import EXPECTED_VALUES, PAIRED_SEEDS, ComparisonVerdict, ComparisonView
from tests.finished_jobs import RATES, a_job, bowl, finished
from tests.unit.analysis.comparison.judged import of

LUCK = (0.2, -0.15, 0.05, 0.1)
FREE: dict[str, Any] = {"space": {"learning_rate": 1.0, "optimizer": "prodigy"}}
BEST = RATES[12]
SEARCHED: dict[str, Any] = {"space": {"optimizer": "sgd"}}


def two(free: float, *, replicates: int = 4, seed: int = 0, lowest: float = 0.3) -> tuple[Finished, Finished]:
    """A job without a search, whose loss is `free` but for luck, and one with, which loses `lowest` at its best rate."""
    without = finished(
        a_job(0, **FREE, replicates=replicates, seed=seed),
        lambda rate: free,
        rates=[1.0],
        noise=0.001,
        of_seed=LUCK.__getitem__,
    )
    tuned = finished(a_job(1, **SEARCHED, replicates=replicates), bowl(BEST, lowest), noise=0.001, of_seed=LUCK.__getitem__)
    return without, tuned


def compared(*jobs: Finished, rate: float | None = None) -> ComparisonView:
    return compare(jobs, learning_rate=rate)


def test_what_not_tuning_costs_is_told_by_paired_seeds_with_an_interval() -> None:
    without, tuned = two(0.33)
    found = compared(without, tuned)
    assert found.best == tuned.job.id
    judged = of(found, without.job)
    assert judged.verdict == ComparisonVerdict.WORSE
    assert judged.difference is not None
    assert judged.difference.paired_seeds is not None
    assert (judged.difference.rests_on, judged.difference.paired_seeds.pairs) == (PAIRED_SEEDS, 4)
    assert 0.02 < judged.difference.estimate.low < judged.difference.estimate.mean < judged.difference.estimate.high < 0.04
    assert judged.learning_rate is not None
    assert judged.learning_rate.mean == 1.0
    assert (judged.at_edge, judged.sensitivity, judged.curve) == (None, None, ())
    assert "optimizer=prodigy is worse by 0.03" in found.because
    assert "optimizer=prodigy searched no learning rate: it took 4 trials, and optimizer=sgd 80." in found.because


def test_a_job_that_is_better_without_a_search_is_the_best() -> None:
    without, tuned = two(0.2)
    found = compared(without, tuned)
    assert found.best == without.job.id
    assert found.because.startswith("optimizer=prodigy is best: it expects 0.25")
    assert "at its learning rate, 1. optimizer=sgd is worse by 0." in found.because
    assert found.most_robust == without.job.id
    assert "depends least" not in found.because


def test_its_expected_value_is_the_mean_over_seeds_with_students_interval() -> None:
    without, _ = two(0.33)
    judged = judge(without)
    assert isinstance(judged, AtPoint)
    values = [trial.value for trial in without.trials if trial.value is not None]
    margin = 2.3534 * stdev(values) / math.sqrt(4)  # the 95% quantile of Student's t with 3 degrees of freedom
    expected = judged.expected
    assert expected.mean == pytest.approx(fmean(values))
    assert (expected.low, expected.high) == pytest.approx((fmean(values) - margin, fmean(values) + margin), rel=1e-4)
    assert judged.draws.mean() == pytest.approx(fmean(values))


def test_with_other_seeds_it_is_compared_by_expected_values_whose_interval_has_the_luck_of_both() -> None:
    without, tuned = two(0.33, seed=7)
    above = of(compared(without, tuned), without.job).difference
    assert above is not None
    assert (above.rests_on, above.paired_seeds) == (EXPECTED_VALUES, None)
    assert above.estimate.high - above.estimate.low > 0.2
    assert above.estimate.low < 0.03 < above.estimate.high


def test_two_jobs_without_a_search_are_compared_by_their_seeds() -> None:
    first, _ = two(0.33)
    second = finished(a_job(2, **FREE | {"replicates": 4}), lambda rate: 0.3, rates=[1.0], noise=0.001, of_seed=LUCK.__getitem__)
    found = compared(first, second)
    assert found.best == second.job.id
    assert of(found, first.job).verdict == ComparisonVerdict.WORSE
    assert curves_figure(found) is None
    assert best_values_figure(found) is not None


def test_at_a_rate_for_all_it_is_told_where_it_is_its_own() -> None:
    without, tuned = two(0.33)
    for rate, because in ((1.0, None), (0.01, "its learning rate is 1")):
        shared = compared(without, tuned, rate=rate).at_shared_rate
        assert shared is not None
        [at] = [each for each in shared.jobs if each.job == without.job.id]
        assert at.because == because
        assert (at.expected is None) is (because is not None)


def test_it_is_drawn_as_a_level_line_among_the_curves() -> None:
    found = compared(*two(0.33))
    figure = curves_figure(found)
    assert figure is not None
    [level] = [trace for trace in figure.data if trace["name"] == "optimizer=prodigy"]
    assert level["y"] == [of(found, two(0.33)[0].job).expected.mean] * 2  # type: ignore[union-attr]
    assert "A level line is what to expect of a recipe that searched no learning rate." in figure.text


def test_a_point_that_diverged_with_a_seed_is_not_judged_by_the_others() -> None:
    without, tuned = two(math.inf)
    found = compared(without, tuned, finished(a_job(3), bowl(0.01)))
    assert of(found, without.job).because == "is not judged: every rate tried diverged, down to 1"

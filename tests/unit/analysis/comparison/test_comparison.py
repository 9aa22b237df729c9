import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from service.analysis.comparison.comparison import compare
from service.analysis.comparison.paired_seeds import best_point
from service.analysis.comparison.tuned import Finished, Tuned, judge
from service.analysis.model.estimates import Interval
from service.analysis.model.surface import Surface
from service.analysis.words import comparison as words
from service.domain.answer import EstimateView
from service.domain.comparison import (
    PAIRED_SEEDS,
    RESPONSE_CURVES,
    ComparisonVerdict,
    DifferenceView,
)
from service.domain.job import Job
from tests.finished_jobs import RATES, a_job, a_trial, bowl, finished
from tests.unit.analysis.comparison.judged import ADAM, SGD, of
from tests.unit.analysis.comparison.test_what_is_compared import a_reason


def test_at_its_own_best_rate_the_better_recipe_wins_that_loses_at_a_shared_one() -> None:
    sgd = finished(a_job(0, training_seed="shared", **SGD), bowl(best=0.1, lowest=0.10), noise=0.01)
    adam = finished(a_job(1, training_seed="shared", **ADAM), bowl(best=0.001, lowest=0.05), noise=0.01)
    found = compare([sgd, adam], learning_rate=0.05)
    assert found.best == adam.job.id
    assert [each.verdict for each in found.jobs] == [ComparisonVerdict.WORSE, ComparisonVerdict.BEST]
    judged = of(found, adam.job)
    assert judged.learning_rate is not None
    assert judged.expected is not None
    assert judged.learning_rate.low <= 0.001 <= judged.learning_rate.high
    assert judged.expected.low <= 0.05 <= judged.expected.high
    above = of(found, sgd.job).difference
    assert above is not None
    assert (above.rests_on, above.paired_seeds) == (RESPONSE_CURVES, None)
    assert above.estimate.low <= 0.05 <= above.estimate.high
    assert found.at_shared_rate is not None
    assert (found.at_shared_rate.winner, found.at_shared_rate.agrees) == (sgd.job.id, False)
    assert "momentum=0.9 optimizer=sgd would win" in found.at_shared_rate.because
    assert "each at its own best rate, optimizer=adam wins" in found.at_shared_rate.because
    assert found.because.startswith("optimizer=adam is best: it expects 0.0")
    assert "momentum=0.9 optimizer=sgd is worse by 0.0" in found.because
    assert found.because.endswith("would tell what a seed changes.")


def test_all_of_it_is_worked_out_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of small products wait for each other: where cores were busy with training, one comparison took 42 s for 0.7 s."""
    threads: set[int] = set()

    def counted(original: Any) -> Any:
        def counting(*args: Any, **kwargs: Any) -> Any:
            threads.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
            return original(*args, **kwargs)

        return counting

    for name in ("draw", "roughly"):
        monkeypatch.setattr(Surface, name, counted(getattr(Surface, name)))
    with threadpool_limits(2):
        compare([finished(a_job(number), bowl(best=0.01), noise=0.01) for number in range(2)], learning_rate=0.05)
    assert threads == {1}


def test_a_shared_rate_that_suits_both_agrees() -> None:
    jobs = [finished(a_job(number), bowl(best=0.01, lowest=0.1 * (1 + number)), noise=0.005) for number in range(2)]
    shared = compare(jobs, learning_rate=0.01).at_shared_rate
    assert shared is not None
    assert (shared.winner, shared.agrees) == (jobs[0].job.id, True)


def test_a_job_that_did_not_search_the_shared_rate_or_diverges_there_says_so() -> None:
    narrow = {"learning_rate": {"type": "float", "low": 1e-5, "high": 1e-3, "log": True}}
    low = finished(a_job(0, space=narrow), bowl(1e-4), rates=[rate for rate in RATES if rate < 1e-3])
    wide, third = finished(a_job(1), bowl(0.05, 0.2)), finished(a_job(2), bowl(0.05, 0.3))
    shared = compare([low, wide, third], learning_rate=0.1).at_shared_rate
    assert shared is not None
    assert [each.because for each in shared.jobs] == ["it searched 1e-05 to 0.001", None, None]
    assert (shared.winner, shared.agrees) == (wide.job.id, False)
    early = finished(a_job(3), bowl(1e-3, 0.05))
    shared = compare([early, wide], learning_rate=0.9).at_shared_rate
    assert shared is not None
    assert [each.because for each in shared.jobs] == ["it most likely diverges there", None]
    assert shared.winner == wide.job.id
    shared = compare([low, wide], learning_rate=0.1).at_shared_rate
    assert shared is not None
    assert (shared.winner, shared.agrees) == (None, None)
    assert shared.because == "fewer than two of the jobs say anything about a learning rate of 0.1"


def test_paired_seeds_decide_what_the_noise_of_seeds_hides() -> None:
    lucky = [0.2, -0.15, 0.05]
    jobs = [
        finished(a_job(number, replicates=3), bowl(0.01, lowest), noise=0.001, of_seed=lucky.__getitem__)
        for number, lowest in enumerate((0.30, 0.31))
    ]
    found = compare(jobs)
    above = found.jobs[1].difference
    assert above is not None
    assert above.paired_seeds is not None
    assert above.paired_seeds.pairs == 3
    assert above.response_curves.low < 0 < above.response_curves.high
    assert 0 < above.paired_seeds.difference.low <= 0.01 <= above.paired_seeds.difference.high
    assert (above.rests_on, above.estimate) == (PAIRED_SEEDS, above.paired_seeds.difference)
    assert found.jobs[1].verdict == ComparisonVerdict.WORSE
    assert "by 3 paired seeds; a training seed changes more" in found.because


def test_of_two_pairs_the_difference_is_told_and_does_not_count() -> None:
    jobs = [finished(a_job(number, replicates=2), bowl(0.01), noise=0.01) for number in range(2)]
    above = compare(jobs).jobs[1].difference or compare(jobs).jobs[0].difference
    assert above is not None
    assert above.paired_seeds is not None
    assert (above.paired_seeds.pairs, above.rests_on, above.estimate) == (2, RESPONSE_CURVES, above.response_curves)


def test_two_runs_of_one_recipe_are_as_good_as_each_other() -> None:
    many = [10 ** (-5 + 5 * (index + 0.5) / 200) for index in range(200)]
    jobs = [finished(a_job(number), bowl(0.01), rates=many, noise=0.02) for number in range(2)]
    found = compare(jobs, learning_rate=0.3)
    assert {each.verdict for each in found.jobs} == {ComparisonVerdict.BEST, ComparisonVerdict.AS_GOOD}
    assert found.at_shared_rate is not None
    assert found.at_shared_rate.agrees  # whichever it was: none owes its place to that rate
    assert "that rate suits it better" not in found.at_shared_rate.because
    above = found.jobs[0].difference or found.jobs[1].difference
    assert above is not None
    assert above.estimate.high - above.estimate.low > 0.005
    assert "depends least on the learning rate" in found.because


def test_jobs_that_saw_the_same_are_independent_all_the_same() -> None:
    job = a_job(0, seed=1)
    twin = Finished(job=a_job(1, seed=1), trials=finished(job, bowl(0.01), noise=0.02).trials, curves={})
    first = finished(job, bowl(0.01), noise=0.02)
    above, own = compare([first, twin]).jobs[1].difference, judge(first)
    assert above is not None
    assert isinstance(own, Tuned)
    alone = Interval.of(own.optimum.draws)
    assert above.estimate.high - above.estimate.low == pytest.approx(math.sqrt(2) * (alone.high - alone.low), rel=0.2)


def test_few_noisy_trials_leave_it_undecided() -> None:
    jobs = [finished(a_job(number), bowl(0.01, steepness=0.1), rates=RATES[4::4], noise=0.1) for number in range(2)]
    found = compare(jobs)
    [undecided] = [each for each in found.jobs if each.verdict != ComparisonVerdict.BEST]
    assert undecided.verdict == ComparisonVerdict.UNDECIDED
    assert "near its best rate would tell" in undecided.because
    costs = {each.job: each.expected.mean for each in found.jobs if each.expected}
    assert found.best == min(costs, key=costs.__getitem__)


def test_where_pairs_of_seeds_and_curves_disagree_the_pairs_say_which_is_best() -> None:
    lucky = [-0.1, 0.08, 0.05]
    whole = [
        finished(a_job(number, replicates=3), bowl(0.01, lowest), noise=0.001, of_seed=lucky.__getitem__)
        for number, lowest in enumerate((0.30, 0.29))
    ]
    # As bayesian search does: seeds but the first, the lucky one, for a few of the best points only.
    few = [
        trial for trial in whole[0].trials if trial.number % 3 == 0 or abs(math.log10(trial.params["learning_rate"]) + 2) < 0.2
    ]
    found = compare([Finished(job=whole[0].job, trials=few, curves={}), whole[1]])
    costs = [each.expected.mean for each in found.jobs if each.expected]
    assert costs[0] < costs[1]
    assert [each.verdict for each in found.jobs] == [ComparisonVerdict.WORSE, ComparisonVerdict.BEST]
    assert "by 3 paired seeds, though the expected values say otherwise" in found.because


def test_a_job_with_one_seed_may_owe_it_to_the_seed() -> None:
    lucky = [0.05, -0.04, 0.01]
    three = finished(a_job(0, replicates=3), bowl(0.01), noise=0.001, of_seed=lucky.__getitem__)
    one = finished(a_job(1, training_seed="shared"), bowl(0.01), noise=0.001, of_seed=lucky.__getitem__)
    assert of(compare([three, one]), one.job).verdict == ComparisonVerdict.UNDECIDED


def test_where_the_best_rate_lies_at_the_edge_a_worse_job_is_undecided() -> None:
    best = finished(a_job(0), bowl(0.01, 0.1), noise=0.01)
    cut = finished(a_job(1), bowl(5.0, 0.1, steepness=0.2), noise=0.01)
    judged = of(compare([best, cut]), cut.job)
    assert judged.at_edge == "high"
    assert judged.verdict == ComparisonVerdict.UNDECIDED
    assert "its best rate lies at the high end of the range it searched: higher ones may be better" in judged.because


def test_a_point_that_diverges_with_a_seed_is_no_best_point() -> None:
    values = {0.2: (0.1, 0.1, math.inf), 0.1: (0.5, 0.7)}
    trials = [a_trial(0, rate, value, seed) for rate, of_seeds in values.items() for seed, value in enumerate(of_seeds)]
    found = best_point(a_job(replicates=3), trials)
    assert found is not None
    assert (found.params["learning_rate"], sorted(found.costs.values())) == (0.1, [0.5, 0.7])


def test_a_metric_to_be_maximized_is_compared_by_its_highest() -> None:
    def job(number: int) -> Job:
        return a_job(number, direction="maximize", metric="score")

    low, high = (finished(job(number), bowl(0.01, -best), noise=0.005) for number, best in enumerate((0.8, 0.9)))
    found = compare([low, high], learning_rate=0.01)
    assert found.best == high.job.id
    assert re.search(r"it expects 0\.(9|899)", found.because)
    assert "is worse by 0.1" in found.because


def test_where_higher_rates_diverge_none_is_said_to_be_better() -> None:
    rates = [10 ** (-5 + 5 * (index + 0.5) / 100) for index in range(100)]

    def falls_until(edge: float) -> Callable[[float], float]:
        return lambda rate: math.inf if rate > edge else 0.1 + 0.2 * math.log10(rate / 5.0) ** 2

    jobs = [finished(a_job(0), bowl(0.01), noise=0.01, rates=rates)]
    jobs += [finished(a_job(1), falls_until(0.8), noise=0.01, rates=rates)]
    judged = compare(jobs).jobs[1]
    assert (judged.at_edge, judged.verdict) == (None, ComparisonVerdict.WORSE)


def test_trials_that_learned_nothing_are_not_compared() -> None:
    flat = finished(a_job(0), lambda _: 2.3, noise=0.001)
    trials = [replace(one, user_attrs={"diagnosis": {"plateaued": "flat"}}) for one in flat.trials]
    because = a_reason(Finished(job=flat.job, trials=trials, curves={}))
    assert because == "none of its trials that trained to their end learned anything: see their diagnosis"
    trials = [replace(one, value=2.3, user_attrs={"guessing": {flat.job.spec.metric: 2.3}}) for one in flat.trials]
    assert a_reason(Finished(job=flat.job, trials=trials, curves={})) == because


def test_values_beyond_all_measure_are_no_pair() -> None:
    jobs = [finished(a_job(number, replicates=3), bowl(0.01), noise=0.01) for number in range(2)]
    nonsense = [a_trial(900 + each, 0.5, -1.5e308, each) for each in range(3)]
    found = compare([replace(jobs[0], trials=[*jobs[0].trials, *nonsense]), jobs[1]])
    assert "inf" not in found.because
    assert "nan" not in found.because


def by_curves(**estimate: float) -> DifferenceView:
    costs = EstimateView(**estimate)
    return DifferenceView(estimate=costs, rests_on=RESPONSE_CURVES, paired_seeds=None, response_curves=costs, tolerance=0.05)


def test_what_is_better_by_its_mean_is_not_said_to_be_worse() -> None:
    better = by_curves(mean=-0.01, low=-0.03, high=0.01)
    assert words.difference(better, 1.0) == "better by 0.01 (-0.01 to 0.03) by the response curves"
    worse = by_curves(mean=0.01, low=-0.01, high=0.03)
    assert words.difference(worse, 1.0) == "worse by 0.01 (-0.01 to 0.03) by the response curves"


def test_the_answer_is_the_same_whenever_it_is_asked_for() -> None:
    jobs = [finished(a_job(number, replicates=3), bowl(0.01), noise=0.01) for number in range(3)]
    first, second = (compare(jobs, learning_rate=0.1) for _ in range(2))
    assert first.because == second.because
    assert first.at_shared_rate == second.at_shared_rate
    assert [each.sensitivity for each in first.jobs] == [each.sensitivity for each in second.jobs]

"""Recipes compared fairly: each job at its own best learning rate, with the difference, its interval and a verdict."""

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from service.analysis.answer.rates import curve_in_rates
from service.analysis.comparison import recipes
from service.analysis.comparison.paired_seeds import BestPoint
from service.analysis.comparison.sensitivity import sensitivity
from service.analysis.comparison.shared_rate import at_shared_rate
from service.analysis.comparison.trade_off import default_target, trade_off
from service.analysis.comparison.tuned import Finished, Judged, Tuned, judge
from service.analysis.comparison.verdicts import difference, verdict
from service.analysis.model.points import number_of_seeds
from service.analysis.one_thread import one_thread
from service.analysis.words import comparison as words
from service.domain.answer import LEVEL
from service.domain.comparison import BestPointView, ComparisonVerdict, ComparisonView, JudgedView
from service.errors import Invalid, NotComparable, TooFewToCompare

FEWEST_JOBS = 2
MOST_JOBS = 20


def compare(all_finished: Sequence[Finished], learning_rate: float | None = None) -> ComparisonView:
    """Judge 2 to 20 jobs, each at its own best rate; given a learning rate, also at that one.

    Raises NotComparable when their metrics are not the same measure, TooFewToCompare when fewer than two can be judged.
    """
    jobs = [finished.job for finished in all_finished]
    check([job.id for job in jobs])
    if faults := recipes.faults(jobs):
        raise NotComparable(faults)
    # As for the answer of one job: everything that draws from a surface belongs inside.
    with one_thread():
        return _compared(all_finished, learning_rate)


def check(ids: Sequence[UUID]) -> None:
    """Raises NotComparable for too few, too many, or the same job twice."""
    if not FEWEST_JOBS <= len(ids) <= MOST_JOBS:
        raise NotComparable([Invalid("/jobs", words.wrong_number_of_jobs(len(ids), fewest=FEWEST_JOBS, most=MOST_JOBS))])
    repeated = [Invalid(f"/jobs/{index}", words.named_before()) for index, one in enumerate(ids) if one in ids[:index]]
    if repeated:
        raise NotComparable(repeated)


def _compared(all_finished: Sequence[Finished], learning_rate: float | None) -> ComparisonView:
    jobs = [finished.job for finished in all_finished]
    labels = recipes.labels(jobs)
    judged_or_why = [judge(finished) for finished in all_finished]
    judged = [each for each in judged_or_why if not isinstance(each, str)]
    if len(judged) < FEWEST_JOBS:
        whys = [(label, each) for label, each in zip(labels, judged_or_why, strict=True) if isinstance(each, str)]
        raise TooFewToCompare(words.too_few_judged(len(judged), whys))
    reference = _reference(judged)
    level = max((each.untrained_level for each in judged if isinstance(each, Tuned)), default=math.inf)
    spec = reference.job.spec
    target = max((default_target(tuned.finished)[0] for tuned in judged), key=lambda target: spec.cost_sign * target)
    views = [
        _not_judged(finished, recipe, label, each)
        if isinstance(each, str)
        else _judged(each, recipe, label, reference, level, target)
        for finished, recipe, label, each in zip(all_finished, recipes.recipes(jobs), labels, judged_or_why, strict=True)
    ]
    as_good = [view for view in views if view.verdict in (ComparisonVerdict.BEST, ComparisonVerdict.AS_GOOD)]
    robust = min(
        as_good, key=lambda view: (view.sensitivity.excess.mean if view.sensitivity else math.inf, view.job != reference.job.id)
    )
    shared = None
    if learning_rate is not None:
        label_of = {view.job: view.label for view in views}
        shared = at_shared_rate(judged, learning_rate, reference.job.id, {view.job for view in as_good}, label_of)
    return ComparisonView(
        metric=spec.metric,
        direction=spec.direction,
        level=LEVEL,
        best=reference.job.id,
        most_robust=robust.job,
        because=words.summary(views, robust),
        target=target,
        jobs=tuple(views),
        at_shared_rate=shared,
    )


def _reference(judged: Sequence[Judged]) -> Judged:
    """The job with the lowest expected cost, unless paired seeds show that another one is better: then that one."""
    reference = min(judged, key=lambda tuned: tuned.cost.mean)
    seen = [reference]
    while True:
        better = [tuned for tuned in judged if tuned not in seen and _is_better(tuned, reference)]
        if not better:
            return reference
        reference = min(better, key=lambda tuned: tuned.cost.mean)
        seen.append(reference)


def _is_better(tuned: Judged, reference: Judged) -> bool:
    return difference(tuned, reference).estimate.times(tuned.job.spec.cost_sign).high < 0


def _judged(tuned: Judged, recipe: dict[str, Any], label: str, reference: Judged, level: float, target: float) -> JudgedView:
    job = tuned.job
    above = None if tuned is reference else difference(tuned, reference)
    judgement, because = verdict(tuned, above)
    return JudgedView(
        job=job.id,
        name=job.name,
        state=job.state,
        label=label,
        recipe=recipe,
        verdict=judgement,
        because=because,
        trials=len(tuned.finished.trials),
        seeds=number_of_seeds(job, tuned.seeds),
        learning_rate=tuned.rate,
        at_edge=tuned.at_edge,
        expected=tuned.expected,
        difference=above,
        sensitivity=sensitivity(tuned, level) if isinstance(tuned, Tuned) else None,
        best_point=_best_point(tuned.best_point, job.spec.cost_sign),
        front=trade_off(tuned.finished, target).front,
        curve=curve_in_rates(job, tuned.curve.profile) if isinstance(tuned, Tuned) else (),
    )


def _best_point(point: BestPoint | None, sign: float) -> BestPointView | None:
    """sign: 1 where a lower metric is better, else -1."""
    if point is None:
        return None
    mean = sign * sum(point.costs.values()) / len(point.costs)
    return BestPointView(params=point.params, value=mean, seeds=len(point.costs))


def _not_judged(finished: Finished, recipe: dict[str, Any], label: str, why: str) -> JudgedView:
    return JudgedView(
        job=finished.job.id,
        name=finished.job.name,
        state=finished.job.state,
        label=label,
        recipe=recipe,
        verdict=ComparisonVerdict.NOT_JUDGED,
        because=words.not_judged(why),
        trials=len(finished.trials),
        seeds=None,
        learning_rate=None,
        at_edge=None,
        expected=None,
        difference=None,
        sensitivity=None,
        best_point=None,
        front=(),
        curve=(),
    )

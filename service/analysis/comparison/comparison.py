"""Recipes compared fairly: each job at its own best learning rate, with the difference, its interval and a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from threadpoolctl import threadpool_limits

from service.analysis.comparison import recipes
from service.analysis.comparison.sensitivity import Sensitivity, sensitivity
from service.analysis.comparison.shared_rate import SharedRate, at_shared_rate
from service.analysis.comparison.tuned import Finished, Tuned, tune
from service.analysis.comparison.verdicts import ComparisonVerdict, Difference, difference, verdict
from service.errors import Invalid, NotComparable, TooFewToCompare

FEWEST_JOBS = 2
MOST_JOBS = 20


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One job in a comparison."""

    finished: Finished
    recipe: Mapping[str, Any]
    label: str
    tuned: Tuned | None
    """None where it cannot be judged; so are the next two."""
    sensitivity: Sensitivity | None
    difference: Difference | None
    """None for the reference, too."""
    verdict: ComparisonVerdict
    because: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Several recipes, judged."""

    jobs: list[Judgement]
    """In the order asked for."""
    best: UUID
    """The job with the lowest expected cost, to which the others are compared."""
    most_robust: UUID
    """Of the best and those that are as good, the one whose cost depends least on the rate."""
    because: str
    shared: SharedRate | None


def compare(all_finished: Sequence[Finished], learning_rate: float | None = None) -> Comparison:
    """Judge 2 to 20 jobs at each one's best rate; given a learning rate, at that one, too.

    Raises NotComparable when their metrics are not the same measure, TooFewToCompare when fewer than two can be judged.
    """
    jobs = [finished.job for finished in all_finished]
    check([job.id for job in jobs])
    if faults := recipes.faults(jobs):
        raise NotComparable(faults)
    # As for the answer of one job: whatever draws from a surface belongs inside.
    with threadpool_limits(1):
        return _compared(all_finished, learning_rate)


def check(ids: Sequence[UUID]) -> None:
    """Raises NotComparable for too few, too many, or the same job twice."""
    if not FEWEST_JOBS <= len(ids) <= MOST_JOBS:
        raise NotComparable([Invalid("/jobs", f"should be {FEWEST_JOBS} to {MOST_JOBS} jobs, not {len(ids)}")])
    repeated = [Invalid(f"/jobs/{index}", "is named before") for index, one in enumerate(ids) if one in ids[:index]]
    if repeated:
        raise NotComparable(repeated)


def _compared(all_finished: Sequence[Finished], learning_rate: float | None) -> Comparison:
    jobs = [finished.job for finished in all_finished]
    labels = recipes.labels(jobs)
    found = [tune(finished) for finished in all_finished]
    judged = [each for each in found if isinstance(each, Tuned)]
    if len(judged) < FEWEST_JOBS:
        whys = "; ".join(f"{label}: {each}" for label, each in zip(labels, found, strict=True) if isinstance(each, str))
        raise TooFewToCompare(f"A comparison takes two jobs that can be judged, and here {_are(len(judged))}. {whys}.")
    reference = _reference(judged)
    level = max(tuned.untrained_level for tuned in judged)
    judgements = [
        _judge(finished, dict(recipe), label, each, reference, level)
        for finished, recipe, label, each in zip(all_finished, recipes.recipes(jobs), labels, found, strict=True)
    ]
    label_of = {judgement.finished.job.id: judgement.label for judgement in judgements}
    as_good = [each for each in judgements if each.verdict in (ComparisonVerdict.BEST, ComparisonVerdict.AS_GOOD)]
    robust = min(
        (each for each in as_good if each.sensitivity),
        key=lambda each: each.sensitivity.excess.mean if each.sensitivity else 0.0,
    )
    shared = None
    if learning_rate is not None:
        good_ones = {each.finished.job.id for each in as_good}
        shared = at_shared_rate(judged, learning_rate, reference.job.id, good_ones, label_of)
    return Comparison(
        jobs=judgements,
        best=reference.job.id,
        most_robust=robust.finished.job.id,
        because=_sentence(judgements, robust),
        shared=shared,
    )


def _reference(judged: Sequence[Tuned]) -> Tuned:
    """The job with the lowest expected cost; where paired seeds say that another one is better, that one."""
    reference = min(judged, key=lambda tuned: tuned.optimum.cost.mean)
    seen = [reference]
    while True:
        better = [tuned for tuned in judged if tuned not in seen and difference(tuned, reference).estimate.high < 0]
        if not better:
            return reference
        reference = min(better, key=lambda tuned: tuned.optimum.cost.mean)
        seen.append(reference)


def _judge(
    finished: Finished, recipe: Mapping[str, Any], label: str, tuned: Tuned | str, reference: Tuned, level: float
) -> Judgement:
    if isinstance(tuned, str):
        return Judgement(finished=finished, recipe=recipe, label=label, tuned=None, sensitivity=None, difference=None,
                         verdict=ComparisonVerdict.NOT_JUDGED, because=f"is not judged: {tuned}")  # fmt: skip
    above = None if tuned is reference else difference(tuned, reference)
    thought, because = verdict(tuned, above)
    return Judgement(finished=finished, recipe=recipe, label=label, tuned=tuned, sensitivity=sensitivity(tuned, level),
                     difference=above, verdict=thought, because=because)  # fmt: skip


def _sentence(judgements: Sequence[Judgement], robust: Judgement) -> str:
    """The best one first, and last which to prefer where several are as good."""
    order = list(ComparisonVerdict)
    parts = [f"{each.label} {each.because}" for each in sorted(judgements, key=lambda each: order.index(each.verdict))]
    if any(each.verdict is ComparisonVerdict.AS_GOOD for each in judgements):
        parts.append(f"Of the best, {robust.label} depends least on the learning rate")
    if all(len(each.tuned.seeds) == 1 for each in judgements if each.tuned):
        parts.append("All of it speaks of one training seed: one for each trial (per_trial) would tell what a seed changes")
    return ". ".join(parts) + "."


def _are(n: int) -> str:
    return "none can" if n == 0 else "one can"

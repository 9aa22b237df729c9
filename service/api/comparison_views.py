"""What the API answers about jobs beside each other."""

from typing import Any, Self
from uuid import UUID

from service.analysis.comparison.comparison import Comparison, Judgement
from service.analysis.comparison.shared_rate import SharedRate
from service.analysis.comparison.trade_off import TradeOff
from service.analysis.comparison.verdicts import Difference
from service.analysis.model.estimates import LEVEL
from service.api.answer_schemas import EstimateView
from service.api.schemas import Number, View
from service.api.trade_off_views import ConfigurationView
from service.domain.job import JobState
from service.domain.space import Point


class BestPointView(View):
    """The configuration with the best mean, among those trained to the end with as many seeds as the job has replicates, or with
    most seeds where none has so many."""

    params: Point
    value: Number
    """Mean over its seeds."""
    seeds: int


class PairedView(View):
    """The difference on the training seeds that both jobs' best points were trained with."""

    pairs: int
    difference: EstimateView


class DifferenceView(View):
    """The metric of this job less that of the best one."""

    estimate: EstimateView
    """The one that counts."""
    rests_on: str
    """paired seeds, where there are three pairs or more, else response curves."""
    paired_seeds: PairedView | None
    """Null with fewer than two pairs. Student's t."""
    response_curves: EstimateView
    """Of the expected metric at each job's own best rate."""
    tolerance: float
    """What a training seed changes: what lies within it is as good."""

    @classmethod
    def of(cls, difference: Difference, sign: float) -> Self:
        seeds = difference.by_seeds
        return cls(
            estimate=EstimateView.of(difference.estimate.times(sign)),
            rests_on=difference.rests_on,
            paired_seeds=seeds and PairedView(pairs=seeds.n_pairs, difference=EstimateView.of(seeds.difference.times(sign))),
            response_curves=EstimateView.of(difference.by_curves.times(sign)),
            tolerance=difference.tolerance,
        )


class SensitivityView(View):
    """What it costs to miss the best rate."""

    excess: EstimateView
    """How much worse the expected metric is, averaged over rates from low to high on a logarithmic scale; those that diverge
    count as an untrained network."""
    low: float
    """Half a decade below the best rate, or where the range searched begins."""
    high: float
    diverging: float
    """The expected part of it that diverges."""


class JudgedView(View):
    """A job in a comparison."""

    job: UUID
    name: str | None
    state: JobState
    label: str
    """What the sentences call it."""
    recipe: dict[str, Any]
    """The parameters and settings in which the jobs differ; searched: the job searches that one."""
    verdict: str
    """best, as good, worse, undecided, or not judged."""
    because: str
    trials: int
    """That have finished: complete, infeasible and pruned ones."""
    seeds: int | None
    """Different training seeds that they had; null where the job is not judged, as all below."""
    learning_rate: EstimateView | None
    """The job's own best rate."""
    at_edge: str | None
    """low or high, where the best rate most likely lies at that end of the range searched: then it may not be tuned yet."""
    expected: EstimateView | None
    """The metric at that rate."""
    difference: DifferenceView | None
    """Null for the best one, too."""
    sensitivity: SensitivityView | None
    best_point: BestPointView | None
    front: list[ConfigurationView]
    """Speed against stability, by steps to the target that all jobs share: see /v1/jobs/{id}/trade-off."""

    @classmethod
    def of(cls, judged: Judgement, trade_off: TradeOff | None) -> Self:
        job, tuned, sign = judged.finished.job, judged.tuned, judged.finished.job.spec.cost_sign
        missed, point = judged.sensitivity, tuned and tuned.best_point
        return cls(
            job=job.id,
            name=job.name,
            state=job.state,
            label=judged.label,
            recipe=dict(judged.recipe),
            verdict=judged.verdict,
            because=judged.because,
            trials=len(judged.finished.trials),
            seeds=tuned and len(tuned.seeds),
            learning_rate=tuned and EstimateView.of(tuned.rate),
            at_edge=tuned and tuned.at_edge,
            expected=tuned and EstimateView.of(tuned.optimum.cost.times(sign)),
            difference=judged.difference and DifferenceView.of(judged.difference, sign),
            sensitivity=missed and SensitivityView.model_validate(missed, from_attributes=True),
            best_point=point
            and BestPointView(
                params=point.params, value=sign * sum(point.costs.values()) / len(point.costs), seeds=len(point.costs)
            ),
            front=[] if trade_off is None else [ConfigurationView.of(each) for each in trade_off.front],
        )


class AtRateView(View):
    """A job at the shared rate."""

    job: UUID
    expected: EstimateView | None
    """The metric there; null where the job tells nothing of it."""
    because: str | None
    """Why not."""


class SharedRateView(View):
    """The comparison that is usually made, at one rate for all: what wins there may owe it to the rate."""

    learning_rate: float
    jobs: list[AtRateView]
    """Of those that are judged."""
    winner: UUID | None
    """Null where fewer than two jobs tell of this rate."""
    agrees: bool | None
    """Whether the winner is also the best one at its own best rate."""
    because: str

    @classmethod
    def of(cls, shared: SharedRate, sign: float) -> Self:
        jobs = [
            AtRateView(job=each.job, expected=each.cost and EstimateView.of(each.cost.times(sign)), because=each.because)
            for each in shared.jobs
        ]
        return cls(
            learning_rate=shared.learning_rate,
            jobs=jobs,
            winner=shared.winner,
            agrees=shared.agrees,
            because=shared.because,
        )


class ComparisonView(View):
    """Recipes, each at its own best learning rate."""

    metric: str
    direction: str
    level: float
    """Of all intervals."""
    best: UUID
    most_robust: UUID
    """Of the best one and those that are as good, the one with the lowest sensitivity."""
    because: str
    target: Number
    """Of the fronts: close to the best final value of the job that ends worst, so that all jobs may get there."""
    jobs: list[JudgedView]
    """In the order asked for."""
    at_shared_rate: SharedRateView | None
    """Null where no learning rate is asked for."""

    @classmethod
    def of(cls, found: Comparison, target: float, trade_offs: dict[UUID, TradeOff]) -> Self:
        spec = found.jobs[0].finished.job.spec
        return cls(
            metric=spec.metric,
            direction=spec.direction,
            level=LEVEL,
            best=found.best,
            most_robust=found.most_robust,
            because=found.because,
            target=target,
            jobs=[JudgedView.of(each, trade_offs.get(each.finished.job.id)) for each in found.jobs],
            at_shared_rate=found.shared and SharedRateView.of(found.shared, spec.cost_sign),
        )

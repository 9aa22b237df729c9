"""What the API answers to the one question. Rates are rates, not logarithms; values are the metric's."""

from typing import Self
from uuid import UUID

from service.analysis.answer.batch_scaling import BatchScaling, Prediction
from service.analysis.answer.values import BestLearningRate, Edge, Evidence, OfBatchSize, SafeRange
from service.analysis.model.estimates import LEVEL, Estimate, Interval
from service.api.schemas import BestTrial, Number, View
from service.domain.job import Job
from service.domain.space import Point, Scalar
from service.domain.training_seeds import only_seed


class IntervalView(View):
    """Holds the truth with a probability of `level`."""

    level: float = LEVEL
    low: float
    high: float

    @classmethod
    def of(cls, interval: Interval) -> Self:
        return cls(low=interval.low, high=interval.high)


class EstimateView(View):
    """A number, and an interval that holds the truth with a probability of `level`."""

    mean: Number
    low: Number
    high: Number

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        return cls(mean=estimate.mean, low=estimate.low, high=estimate.high)


class SafeRangeView(View):
    """Learning rates at which one can expect to lose no more than `tolerance` to the answered rate."""

    tolerance: float
    """In the metric's units. Unless asked for another: what the training seed changes, but at least a fiftieth of what four
    fifths of the trials lose to the best, and at most half of that."""
    low: float
    high: float

    @classmethod
    def of(cls, safe: SafeRange) -> Self:
        return cls(tolerance=safe.tolerance, low=safe.low, high=safe.high)


class EdgeView(View):
    """The learning rate at which half of all trials diverge, and where that lies with 90% probability."""

    at: float
    low: float
    high: float

    @classmethod
    def of(cls, edge: Edge) -> Self:
        return cls(at=edge.at, low=edge.low, high=edge.high)


class GroupEdgeView(EdgeView):
    """The divergence edge of the trials with one batch size, or with one optimizer."""

    group: dict[str, Scalar]


class BatchSizeView(View):
    """The answer for one batch size, the other parameters at their best."""

    batch_size: int
    trials: int
    """That trained to their end with it; those of other batch sizes tell something, too."""
    learning_rate: float
    interval: IntervalView
    expected: EstimateView

    @classmethod
    def of(cls, found: OfBatchSize) -> Self:
        return cls(
            batch_size=found.batch_size,
            trials=found.trials,
            learning_rate=found.learning_rate,
            interval=IntervalView.of(found.interval),
            expected=EstimateView.of(found.expected),
        )


class CurveView(EstimateView):
    """The response curve at one learning rate: the metric's expected value there."""

    learning_rate: float


class EvidenceView(View):
    """What an answer rests on."""

    trials: int
    """Complete, infeasible and pruned ones."""
    infeasible: int
    """Diverged: their loss was not finite."""
    pruned: int
    hopeless: int
    """Trained to their end, but the loss exploded and stayed finite, or gained less than half of what the best trial's did, at a
    rate beyond one that diverged: for the answer they count as diverged. Across jobs: of the job that the answer comes from."""
    seeds: int
    """Different training seeds of these trials; a foreign trial that names none counts as one of its own."""


class Answer(View):
    """Which learning rate, how sure, and how far one may move."""

    job: UUID
    """The job it comes from."""
    training_seed: int | None
    """The one training seed that every field speaks of, where all trials of the job share it: another seed may want another rate.
    Null: the answer is about training seeds at large."""
    learning_rate: float | None
    """Null when every rate tried diverged."""
    params: Point
    """The other parameters searched, with which that rate is the best: another momentum or batch size wants another rate."""
    interval: IntervalView | None
    """Where the best rate lies over all parameters searched, which may be other ones than `params`. Null, as what follows, while
    there are too few trials to tell."""
    interval_at_params: IntervalView | None
    """Where the best rate lies with `params`."""
    safe_range: SafeRangeView | None
    """With `params`. Also null where more than a tenth of trials diverge at the rate itself."""
    safe_range_retuned: SafeRangeView | None
    """With the other parameters tuned again at each rate. Also null where more than a tenth of trials diverge at the rate, even
    then."""
    expected: EstimateView | None
    """At learning_rate, with `params`."""
    divergence_edge: EdgeView | None
    """With `params`. Null when nothing diverged."""
    divergence_edges: list[GroupEdgeView]
    """By batch size and by optimizer, where these are searched and at least three trials of each trained and diverged."""
    metric: str
    at_edge: str | None
    """low or high, when the best rate lies in the outermost twentieth of what was searched."""
    evidence: EvidenceView
    best_trial: BestTrial | None
    """The trial with the best value: lucky, where there is noise. Its rate need not be the answer."""
    by_batch_size: list[BatchSizeView]
    """Where the batch size is searched."""
    curve: list[CurveView]
    """Over the range searched, as far as most trials train through; the other parameters as `?curve=` says."""
    verdict: str
    """confident: with 90% probability the rate loses no more than the tolerance to the best one. any rate will do: no rate of the
    range loses more than the tolerance to another. Else: needs more trials, search range too narrow, nothing learned, all
    diverged."""
    because: str
    """Why that is the verdict; names the training seed where all trials share one."""

    @classmethod
    def of(cls, job: Job, found: BestLearningRate, evidence: Evidence | None = None) -> Self:
        """evidence: what it rests on, where that is more than the job's."""
        best, safe, retuned = found.best_trial, found.safe_range, found.safe_range_retuned
        seed = only_seed(job.spec, found.evidence.training_seeds)
        return cls(
            job=job.id,
            training_seed=seed,
            learning_rate=found.learning_rate,
            params=found.params,
            interval=None if found.interval is None else IntervalView.of(found.interval),
            interval_at_params=None if found.interval_at_params is None else IntervalView.of(found.interval_at_params),
            safe_range=None if safe is None else SafeRangeView.of(safe),
            safe_range_retuned=None if retuned is None else SafeRangeView.of(retuned),
            expected=None if found.expected is None else EstimateView.of(found.expected),
            divergence_edge=None if found.divergence_edge is None else EdgeView.of(found.divergence_edge),
            divergence_edges=[
                GroupEdgeView(at=edge.at, low=edge.low, high=edge.high, group=dict(edge.group)) for edge in found.divergence_edges
            ],
            metric=found.metric,
            at_edge=found.at_edge,
            evidence=EvidenceView.model_validate(evidence or found.evidence, from_attributes=True),
            best_trial=None if best is None else BestTrial(number=best.number, value=best.value, params=best.params),
            by_batch_size=[BatchSizeView.of(each) for each in found.by_batch_size],
            curve=[
                CurveView(learning_rate=part.learning_rate, **EstimateView.of(part.expected).model_dump()) for part in found.curve
            ],
            verdict=found.verdict,
            because=of_seed(seed, found.because),
        )


def of_seed(seed: int | None, sentence: str) -> str:
    """A sentence without its full stop; where all trials share a training seed it says that it holds for that seed alone."""
    return sentence if seed is None else f"{sentence}; all of it with training seed {seed} alone"


class PredictionView(View):
    """The best learning rate for a batch size that was not tried."""

    batch_size: int
    learning_rate: float
    interval: IntervalView
    advice: str
    """How to get there, and how far it is to be trusted."""

    @classmethod
    def of(cls, prediction: Prediction) -> Self:
        return cls(
            batch_size=prediction.batch_size,
            learning_rate=10**prediction.rate,
            interval=IntervalView.of(prediction.interval.of_rates()),
            advice=prediction.advice,
        )


class BatchScalingView(View):
    """How the best learning rate moves with the batch size: to a power of it."""

    job: UUID
    training_seed: int | None
    """The one training seed that every field speaks of, where all trials of the job share it. Null: it is about training seeds at
    large."""
    power: float
    interval: IntervalView
    linear: bool
    """Whether a power of 1 lies in the interval."""
    square_root: bool
    """Whether a power of 1/2 lies in the interval."""
    because: str
    by_batch_size: list[BatchSizeView]
    fitted_to: list[int]
    """The batch sizes whose best rate lies within the range searched."""
    prediction: PredictionView | None
    """Where one was asked for."""

    @classmethod
    def of(cls, job: Job, found: BestLearningRate, scaling: BatchScaling, prediction: Prediction | None) -> Self:
        seed = only_seed(job.spec, found.evidence.training_seeds)
        return cls(
            job=job.id,
            training_seed=seed,
            power=scaling.power,
            interval=IntervalView.of(scaling.interval),
            linear=scaling.linear,
            square_root=scaling.square_root,
            because=of_seed(seed, scaling.because),
            by_batch_size=[BatchSizeView.of(each) for each in found.by_batch_size],
            fitted_to=list(scaling.batch_sizes),
            prediction=None if prediction is None else PredictionView.of(prediction),
        )

"""An answer about the learning rate: what is worked out, what the API sends, and what the command line prints, in one.

Rates are rates, not logarithms; values are the metric's. The names of the classes are those of the API's document, which makes
its descriptions of what stands below each field. The command line reads these, too: nothing here takes long to import, and what
a newer API adds is passed over.
"""

from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from service.domain.number import Number, Real
from service.domain.space import Point, Scalar

LEVEL = 0.9
"""The probability with which intervals hold the truth."""


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class IntervalView(Part):
    """Holds the truth with a probability of `level`."""

    level: float = LEVEL
    low: float
    high: float


class EstimateView(Part):
    """A number, and an interval that holds the truth with a probability of `level`."""

    mean: Real
    low: Real
    high: Real

    def times(self, sign: float) -> "EstimateView":
        """From cost to metric, or back: sign is 1 where lower is better, else -1."""
        ends = sorted((sign * self.low, sign * self.high))
        return EstimateView(mean=sign * self.mean, low=ends[0], high=ends[1])


class SafeRangeView(Part):
    """Learning rates at which one can expect to lose no more than `tolerance` to the answered rate."""

    tolerance: float
    """In the metric's units. Unless asked for another: what the training seed changes, but at least a fiftieth of what four
    fifths of the trials lose to the best, and at most half of that."""
    low: float
    high: float


class EdgeView(Part):
    """The learning rate at which half of all trials diverge, and where that lies with 90% probability."""

    at: float
    low: float
    high: float


class GroupEdgeView(EdgeView):
    """The divergence edge of the trials with one batch size, or with one optimizer."""

    group: dict[str, Scalar]


class BatchSizeView(Part):
    """The answer for one batch size, the other parameters at their best."""

    batch_size: int
    trials: int
    """That trained to their end with it; those of other batch sizes tell something, too."""
    learning_rate: float
    interval: IntervalView
    expected: EstimateView


class CurveView(EstimateView):
    """The response curve at one learning rate: the metric's expected value there."""

    learning_rate: float


class EvidenceView(Part):
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


class BestTrial(Part):
    """The trial with the best value."""

    number: int
    value: Number
    params: Point


class AnswerVerdict(StrEnum):
    """What is to be thought of an answer. A newer API may know further ones."""

    CONFIDENT = "confident"
    """With nine tenths of probability the rate loses no more than the tolerance to the best one."""
    MORE_TRIALS = "needs more trials"
    ANY_RATE = "any rate will do"
    """No rate of the range loses more than the tolerance to another."""
    RANGE_TOO_NARROW = "search range too narrow"
    NOTHING_LEARNED = "nothing learned"
    """Trials trained to their end, and none got anywhere."""
    ALL_DIVERGED = "all diverged"


class Answer(Part):
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
    divergence_edges: tuple[GroupEdgeView, ...]
    """By batch size and by optimizer, where these are searched and at least three trials of each trained and diverged."""
    metric: str
    at_edge: str | None
    """low or high, when the best rate lies in the outermost twentieth of what was searched."""
    evidence: EvidenceView
    best_trial: BestTrial | None
    """The trial with the best value: lucky, where there is noise. Its rate need not be the answer."""
    by_batch_size: tuple[BatchSizeView, ...]
    """Where the batch size is searched."""
    curve: tuple[CurveView, ...]
    """Over the range searched, as far as most trials train through; the other parameters as `?curve=` says."""
    verdict: str
    """confident: with 90% probability the rate loses no more than the tolerance to the best one. any rate will do: no rate of the
    range loses more than the tolerance to another. Else: needs more trials, search range too narrow, nothing learned, all
    diverged."""
    because: str
    """Why that is the verdict; names the training seed where all trials share one."""

    def resting_on(self, evidence: EvidenceView) -> Self:
        """The same answer, resting on other jobs' trials, too; how many of those are hopeless is not known."""
        return self.model_copy(update={"evidence": evidence.model_copy(update={"hopeless": self.evidence.hopeless})})


class PredictionView(Part):
    """The best learning rate for a batch size that was not tried."""

    batch_size: int
    learning_rate: float
    interval: IntervalView
    advice: str
    """How to get there, and how far it is to be trusted."""


class BatchScalingView(Part):
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
    by_batch_size: tuple[BatchSizeView, ...]
    fitted_to: tuple[int, ...]
    """The batch sizes whose best rate lies within the range searched."""
    prediction: PredictionView | None
    """Where one was asked for."""

"""An answer about the learning rate: the same models are made by the analysis, sent by the API and printed by the command line.

Learning rates are not logarithms here, and values are in the metric's units. Class names are the schema names in the OpenAPI
document, and the docstring below a field is its description there. The command line imports this module, so it must import
quickly. Fields that a newer API adds are ignored.
"""

from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from service.domain.number import Number, Real
from service.domain.space import Point, Scalar

LEVEL = 0.9
"""The probability with which an interval contains the true value."""


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class IntervalView(Part):
    """An interval that contains the true value with probability `level`."""

    level: float = LEVEL
    low: float
    high: float


class EstimateView(Part):
    """An estimate, and an interval that contains the true value with a probability of 90%."""

    mean: Real
    low: Real
    high: Real

    def times(self, sign: float) -> "EstimateView":
        """The estimate converted from cost to metric, or back. sign: 1 where lower is better, else -1."""
        ends = sorted((sign * self.low, sign * self.high))
        return EstimateView(mean=sign * self.mean, low=ends[0], high=ends[1])


class ExpectedView(EstimateView):
    """The metric expected at the answered point."""

    runs: int
    """How often the answered point was retrained with a fresh seed, to the end; 0: the metric is predicted by the curve alone."""


class SafeRangeView(Part):
    """Learning rates at which the expected metric is at most `tolerance` worse than at the answered rate."""

    tolerance: float
    """In the metric's units. Unless the request gives one: the variation between training seeds, but at least a fiftieth and at
    most half of the 80th percentile of the regret of trials that learned."""
    low: float
    high: float


class EdgeView(Part):
    """The learning rate at which half of all trials diverge, with its 90% interval."""

    at: float
    low: float
    high: float


class GroupEdgeView(EdgeView):
    """The divergence edge of the trials with one batch size or one optimizer."""

    group: dict[str, Scalar]


class BatchSizeView(Part):
    """The answer for one batch size, with the other parameters at their best values."""

    batch_size: int
    trials: int
    """Trials with this batch size that trained to the end. The estimates also use trials with other batch sizes."""
    learning_rate: float
    interval: IntervalView
    expected: EstimateView


class ImportanceView(Part):
    """How much a searched parameter matters: parts of the variance of the expected metric over the space searched, on the scale
    on which the response curve is fitted, where most trials train to their end. From 0 to 1."""

    parameter: str
    alone: float
    """Explained by this parameter alone: its first-order Sobol' index."""
    total: float
    """Explained by it alone or together with others: its total-order index. What is above `alone` is interaction."""


class CurveView(EstimateView):
    """The response curve at one learning rate: the expected value of the metric there."""

    learning_rate: float


class EvidenceView(Part):
    """The trials that an answer is based on."""

    trials: int
    """Number of complete, infeasible and pruned trials."""
    infeasible: int
    """Trials that diverged: their loss was not finite."""
    pruned: int
    hopeless: int
    """Trials that trained to the end, but whose loss exploded and stayed finite, or improved by less than half of the best
    trial's improvement at a rate above one that diverged. The answer counts them as diverged. Across jobs: only those of the job
    that the answer comes from."""
    seeds: int | None
    """Number of different training seeds of these trials. A foreign trial without a stated seed counts as a seed of its own.
    Null where trials were imported without their seeds: whether they shared one is not known."""


class BestTrial(Part):
    """The trial with the best value."""

    number: int
    value: Number
    params: Point


class CandidateView(Part):
    """A point that was retrained with fresh seeds before one was answered."""

    learning_rate: float
    params: Point
    """The other parameters searched."""
    runs: int
    """Fresh runs that trained to their end."""
    diverged: int
    """Fresh runs that diverged, or whose loss counts as diverged."""
    value: Number
    """The mean of the metric over these runs; null where none trained to its end."""
    is_best_trial: bool
    """Whether it is the best trial's point."""
    is_answered: bool


class ConfirmationView(Part):
    """What became of the points that were retrained with fresh seeds at the end of the job's budget."""

    candidates: tuple[CandidateView, ...]
    """The best mean first. The answered point is one of those that diverged least; none of them where no fresh run trained to its
    end."""
    repeats_exactly: bool = False
    """Whether each of these points had the same metric to the last digit whenever it was trained: training draws no random
    numbers, or sets seeds of its own, and its noise is not known."""


class AnswerVerdict(StrEnum):
    """How far an answer can be relied on. A newer API may add verdicts."""

    CONFIDENT = "confident"
    """With 90% probability the metric at the answered rate is at most the tolerance worse than at the best rate."""
    MORE_TRIALS = "needs more trials"
    ANY_RATE = "any rate will do"
    """The metric differs by no more than the tolerance between any two rates of the range."""
    RANGE_TOO_NARROW = "search range too narrow"
    NOTHING_LEARNED = "nothing learned"
    """Trials trained to the end, but none of them improved."""
    ALL_DIVERGED = "all diverged"


class Answer(Part):
    """The best learning rate, how certain it is, and the range of rates that is safe."""

    job: UUID
    """The job that the answer comes from."""
    training_seed: int | None
    """The training seed that all trials of the job share. Every field then holds for this seed only; another seed may have
    another best rate. Null: the answer holds for training seeds in general."""
    learning_rate: float | None
    """Null when every rate tried diverged. Where nothing learned, the least bad one, which is no recommendation."""
    params: Point
    """The values of the other searched parameters at which that rate is best. With another momentum or batch size another rate is
    best."""
    interval: IntervalView | None
    """Where the best rate lies over all searched parameters, which may differ from `params`. This field and those below are null
    while there are too few trials."""
    interval_at_params: IntervalView | None
    """Where the best rate lies with `params`."""
    safe_range: SafeRangeView | None
    """The safe range with `params`. Also null where more than a tenth of trials diverge at the answered rate."""
    safe_range_retuned: SafeRangeView | None
    """The safe range with the other parameters tuned again at each rate. Also null where more than a tenth of trials diverge at
    the answered rate even then."""
    expected: ExpectedView | None
    """The metric expected at `learning_rate` with `params`, and how often it was trained there with fresh seeds."""
    divergence_edge: EdgeView | None
    """The divergence edge with `params`. Null when nothing diverged."""
    divergence_edges: tuple[GroupEdgeView, ...]
    """Divergence edges by batch size and by optimizer, where these are searched and, of each, at least three trials trained to
    the end and three diverged."""
    metric: str
    at_edge: str | None
    """low or high, when the best rate lies in the outermost twentieth of the range searched."""
    evidence: EvidenceView
    best_trial: BestTrial | None
    """The trial with the best value. With noise, that value is partly luck, and its rate need not be the answer."""
    confirmed: ConfirmationView | None
    """The points that were retrained with fresh seeds, among which the answer was chosen. Null in a job without confirmation, and
    before its first fresh run ends."""
    by_batch_size: tuple[BatchSizeView, ...]
    """One answer for each batch size, where the batch size is searched."""
    curve: tuple[CurveView, ...]
    """The response curve over the range searched, as far as most trials do not diverge. `?curve=` says how the other parameters
    are treated."""
    verdict: str
    """confident: with 90% probability the metric at the answered rate is at most the tolerance worse than at the best rate. any
    rate will do: the metric differs by no more than the tolerance over the whole range. Otherwise: needs more trials, search
    range too narrow, nothing learned, all diverged."""
    because: str
    """The reason for the verdict. It names the training seed where all trials share one."""
    importance: tuple[ImportanceView, ...] = ()
    """Of each searched parameter, the most important first. Empty where only the learning rate is searched, and while there are
    too few trials."""
    further_trials: int | None = None
    """By how many trials the job should be extended; null where more would not help, or while it runs."""

    @property
    def recommends(self) -> bool:
        """Whether the rate is one to use. Where nothing learned, the least bad rate is no better than the others."""
        return self.learning_rate is not None and self.verdict != AnswerVerdict.NOTHING_LEARNED

    def resting_on(self, evidence: EvidenceView) -> Self:
        """The same answer with evidence that covers other jobs' trials too. `hopeless` stays: it is not known for those."""
        return self.model_copy(update={"evidence": evidence.model_copy(update={"hopeless": self.evidence.hopeless})})


class PredictionView(Part):
    """The best learning rate for a batch size that was not tried."""

    batch_size: int
    learning_rate: float
    interval: IntervalView
    advice: str
    """How to get to this rate, and how far the prediction can be trusted."""


class BatchScalingView(Part):
    """How the best learning rate scales with the batch size: as a power of it."""

    job: UUID
    training_seed: int | None
    """The training seed that all trials of the job share; every field then holds for this seed only. Null: it holds for training
    seeds in general."""
    power: float
    interval: IntervalView
    linear: bool
    """Whether the interval contains a power of 1."""
    square_root: bool
    """Whether the interval contains a power of 1/2."""
    because: str
    by_batch_size: tuple[BatchSizeView, ...]
    fitted_to: tuple[int, ...]
    """The batch sizes whose best rate lies within the range searched. The power is fitted to these."""
    prediction: PredictionView | None
    """Null unless the request asks for one."""

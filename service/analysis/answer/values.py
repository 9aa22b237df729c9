"""What an answer about the learning rate consists of. Rates are rates, not logarithms; values are the metric's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from service.analysis.answer.batch_scaling import BatchScaling
from service.analysis.model.divergence_edge import DivergenceEdge
from service.analysis.model.estimates import TAILS, Estimate, Interval
from service.domain.space import Point, Scalar
from service.domain.trial import Trial


class AnswerVerdict(StrEnum):
    """What is to be thought of an answer."""

    CONFIDENT = "confident"
    """With nine tenths of probability the rate loses no more than the tolerance to the best one."""
    MORE_TRIALS = "needs more trials"
    ANY_RATE = "any rate will do"
    """No rate of the range loses more than the tolerance to another."""
    RANGE_TOO_NARROW = "search range too narrow"
    NOTHING_LEARNED = "nothing learned"
    """Trials trained to their end, and none got anywhere."""
    ALL_DIVERGED = "all diverged"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What an answer rests on."""

    trials: int
    infeasible: int
    pruned: int
    hopeless: int = 0
    """Trained to their end, and worse than guessing by far, or beyond rates that diverge: they count as diverged."""
    training_seeds: frozenset[int]
    """That the trials were trained with; a foreign trial that names none has one of its own."""

    @property
    def seeds(self) -> int:
        """How many."""
        return len(self.training_seeds)


@dataclass(frozen=True, kw_only=True)
class SafeRange:
    """Rates whose expected value is within `tolerance`, in the metric's units, of that at the answered point."""

    tolerance: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Edge:
    """The rate at which half of all trials diverge, with its interval."""

    at: float
    low: float
    high: float
    group: Mapping[str, Scalar]
    """Of which trials; empty: of all."""

    @classmethod
    def of(cls, edge: DivergenceEdge, group: Mapping[str, Scalar] | None = None) -> Self:
        return cls(
            at=10 ** edge.quantile(0.5), low=10 ** edge.quantile(TAILS[0]), high=10 ** edge.quantile(TAILS[1]), group=group or {}
        )


@dataclass(frozen=True, kw_only=True)
class OfBatchSize:
    """The answer for one batch size."""

    batch_size: int
    trials: int
    learning_rate: float
    interval: Interval
    expected: Estimate


@dataclass(frozen=True, kw_only=True)
class CurvePart:
    """The response curve at one rate."""

    learning_rate: float
    expected: Estimate


@dataclass(frozen=True, kw_only=True)
class BestLearningRate:
    """An answer, and what it rests on."""

    learning_rate: float | None
    """None when every rate tried diverged."""
    metric: str
    evidence: Evidence
    verdict: AnswerVerdict
    because: str
    best_trial: Trial | None
    look_below: float | None = None
    """The lowest rate tried, where every one diverged."""
    at_edge: str | None = None
    params: Point = field(default_factory=dict)
    """The other parameters searched, with which that rate is the best."""
    interval: Interval | None = None
    """Where the best rate lies, whatever the other parameters are; this and what follows is None, or empty, while trials are too
    few to tell."""
    interval_at_params: Interval | None = None
    """Where the best rate lies with `params`."""
    safe_range: SafeRange | None = None
    """With `params`."""
    safe_range_retuned: SafeRange | None = None
    """With the other parameters tuned again at each rate."""
    expected: Estimate | None = None
    divergence_edge: Edge | None = None
    divergence_edges: tuple[Edge, ...] = ()
    """By batch size and by optimizer."""
    by_batch_size: tuple[OfBatchSize, ...] = ()
    batch_scaling: BatchScaling | None = None
    curve: tuple[CurvePart, ...] = ()

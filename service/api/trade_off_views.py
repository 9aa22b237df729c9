"""What the API answers about a job's configurations beside each other."""

from typing import Self
from uuid import UUID

from service.analysis.comparison.trade_off import Configuration, TradeOff
from service.api.schemas import Number, View
from service.domain.space import Point


class FinalView(View):
    """Where a configuration's trials end."""

    mean: Number
    low: Number
    """The lowest of its seeds."""
    high: Number
    sd: Number
    """Standard deviation over its seeds; null for a single one."""


class ConfigurationView(View):
    """One point of the search space, with all its seeds."""

    learning_rate: Number
    params: Point
    trials: list[int]
    """Numbers of those that trained to their end."""
    diverged: int
    """How many of its other trials diverged."""
    final: FinalView
    """The metric at the end."""
    reached: int
    """How many of its trials reached the target."""
    steps: Number
    """To the target, mean of its trials; null unless all of them reached it."""
    seconds: Number
    """Of training to the target; null, too, where measurements were deleted."""

    @classmethod
    def of(cls, configuration: Configuration) -> Self:
        return cls.model_validate(configuration, from_attributes=True)


class TradeOffView(View):
    """Speed against stability."""

    job: UUID
    metric: str
    target: float
    """A trial reaches it with its first measurement that is at least as good."""
    why_this_target: str
    by: str
    """What the front counts as speed: steps or seconds."""
    front: list[ConfigurationView]
    """Configurations that no other one beats on both, fastest first: those all of whose seeds reach the target."""
    others: list[ConfigurationView]
    """The others, best final value first; at most 200."""
    left_out: int
    """How many more there are."""

    @classmethod
    def of(cls, job: UUID, metric: str, found: TradeOff, most: int) -> Self:
        return cls(
            job=job,
            metric=metric,
            target=found.target,
            why_this_target=found.why_this_target,
            by=found.by,
            front=[ConfigurationView.of(each) for each in found.front],
            others=[ConfigurationView.of(each) for each in found.others[:most]],
            left_out=max(0, len(found.others) - most),
        )

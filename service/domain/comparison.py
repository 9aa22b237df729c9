"""Jobs beside each other, and a job's configurations beside each other: worked out, sent and printed as one, as answers are.

Values and differences are the metric's, not costs.
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

from service.domain.answer import EstimateView, Part
from service.domain.job import JobState
from service.domain.number import Number, Real
from service.domain.space import Point

PAIRED_SEEDS = "paired seeds"
RESPONSE_CURVES = "response curves"


class FinalView(Part):
    """Where a configuration's trials end."""

    mean: Real
    low: Real
    """The lowest of its seeds."""
    high: Real
    sd: Number
    """Standard deviation over its seeds; null for a single one."""


class ConfigurationView(Part):
    """One point of the search space, with all its seeds."""

    learning_rate: Number
    params: Point
    trials: tuple[int, ...]
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


class TradeOffView(Part):
    """Speed against stability."""

    job: UUID
    metric: str
    target: float
    """A trial reaches it with its first measurement that is at least as good."""
    why_this_target: str
    by: str
    """What the front counts as speed: steps or seconds."""
    front: tuple[ConfigurationView, ...]
    """Configurations that no other one beats on both, fastest first: those all of whose seeds reach the target."""
    others: tuple[ConfigurationView, ...]
    """The others, best final value first; at most 200."""
    left_out: int
    """How many more there are."""


class BestPointView(Part):
    """The configuration with the best mean, among those trained to the end with as many seeds as the job has replicates, or with
    most seeds where none has so many."""

    params: Point
    value: Number
    """Mean over its seeds."""
    seeds: int


class PairedView(Part):
    """The difference on the training seeds that both jobs' best points were trained with."""

    pairs: int
    difference: EstimateView


class DifferenceView(Part):
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


class SensitivityView(Part):
    """What it costs to miss the best rate."""

    excess: EstimateView
    """How much worse the expected metric is, averaged over rates from low to high on a logarithmic scale; those that diverge
    count as an untrained network."""
    low: float
    """Half a decade below the best rate, or where the range searched begins."""
    high: float
    diverging: float
    """The expected part of it that diverges."""


class ComparisonVerdict(StrEnum):
    """What is to be thought of a job, beside the best one. A newer API may know further ones."""

    BEST = "best"
    AS_GOOD = "as good"
    """The interval of the difference holds 0 and lies within the tolerance."""
    WORSE = "worse"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


class JudgedView(Part):
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
    front: tuple[ConfigurationView, ...]
    """Speed against stability, by steps to the target that all jobs share: see /v1/jobs/{id}/trade-off."""


class AtRateView(Part):
    """A job at the shared rate."""

    job: UUID
    expected: EstimateView | None
    """The metric there; null where the job tells nothing of it."""
    because: str | None
    """Why not."""


class SharedRateView(Part):
    """The comparison that is usually made, at one rate for all: what wins there may owe it to the rate."""

    learning_rate: float
    jobs: tuple[AtRateView, ...]
    """Of those that are judged."""
    winner: UUID | None
    """Null where fewer than two jobs tell of this rate."""
    agrees: bool | None
    """Whether the winner is also the best one at its own best rate."""
    because: str


class ComparisonView(Part):
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
    jobs: tuple[JudgedView, ...]
    """In the order asked for."""
    at_shared_rate: SharedRateView | None
    """Null where no learning rate is asked for."""

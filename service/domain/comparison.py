"""Comparisons of jobs, and of the configurations of one job: the same models for analysis, API and command line, as for answers.

Values and differences are in the metric's units; they are not costs.
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

from service.domain.answer import CurveView, EstimateView, Part
from service.domain.job import JobState
from service.domain.number import Number, Real
from service.domain.space import Point

PAIRED_SEEDS = "paired seeds"
RESPONSE_CURVES = "response curves"
EXPECTED_VALUES = "expected values"


class FinalView(Part):
    """The final metric of a configuration's trials."""

    mean: Real
    low: Real
    """The lowest value over its seeds."""
    high: Real
    sd: Number
    """Standard deviation over its seeds; null for a single seed."""


class ConfigurationView(Part):
    """One point of the search space, with all its seeds."""

    learning_rate: Number
    params: Point
    trials: tuple[int, ...]
    """Numbers of its trials that trained to the end."""
    diverged: int
    """How many of its other trials diverged."""
    final: FinalView
    """The metric at the end of training."""
    reached: int
    """How many of its trials reached the target."""
    steps: Number
    """Steps to the target, mean over its trials; null unless all of them reached it."""
    seconds: Number
    """Seconds of training to the target, mean over its trials; also null where measurements were deleted."""


class TradeOffView(Part):
    """Speed against stability."""

    job: UUID
    metric: str
    target: float
    """The target value of the metric. A trial reaches it with its first measurement that is at least as good."""
    why_this_target: str
    by: str
    """The measure of speed: steps or seconds."""
    front: tuple[ConfigurationView, ...]
    """The Pareto front, fastest first: configurations all of whose seeds reach the target, and that no other configuration beats
    on both speed and final value."""
    others: tuple[ConfigurationView, ...]
    """The other configurations, best final value first; at most 200."""
    left_out: int
    """How many further configurations are not listed."""


class BestPointView(Part):
    """The configuration with the best mean value, among those that trained to the end with as many seeds as the job has
    replicates or, where no configuration has that many, with the most seeds."""

    params: Point
    value: Number
    """Mean value over its seeds."""
    seeds: int


class PairedView(Part):
    """The difference over the training seeds with which both jobs' best points were trained."""

    pairs: int
    difference: EstimateView


class DifferenceView(Part):
    """The metric of this job minus that of the best job."""

    estimate: EstimateView
    """The estimate that the verdict is based on."""
    rests_on: str
    """What the estimate is based on: paired seeds where there are three pairs or more; else response curves or, where one of the
    jobs searched no range of learning rates, expected values: those of its curve and the mean over its seeds."""
    paired_seeds: PairedView | None
    """The difference by paired seeds, with an interval from Student's t distribution; null with fewer than two pairs."""
    response_curves: EstimateView
    """The difference of the expected metric at each job's own best rate; of a job without a curve, of its best point."""
    tolerance: float
    """The variation between training seeds. A job whose difference lies within it is as good."""


class SensitivityView(Part):
    """How much worse the metric gets when the rate is not exactly the best one."""

    excess: EstimateView
    """How much worse the expected metric is than at the best rate, averaged over rates from low to high on a logarithmic scale.
    Rates that diverge count as an untrained network."""
    low: float
    """Half a decade below the best rate, or the low end of the range searched."""
    high: float
    """Half a decade above the best rate, or the high end of the range searched."""
    diverging: float
    """The expected part of these rates that diverges."""


class ComparisonVerdict(StrEnum):
    """How a job compares with the best one. A newer API may add verdicts."""

    BEST = "best"
    AS_GOOD = "as good"
    """The interval of the difference contains 0 and lies within the tolerance."""
    WORSE = "worse"
    UNDECIDED = "undecided"
    NOT_JUDGED = "not judged"


class JudgedView(Part):
    """A job in a comparison."""

    job: UUID
    name: str | None
    state: JobState
    label: str
    """The name of the job in texts."""
    recipe: dict[str, Any]
    """The parameters and settings in which the jobs differ, with this job's values; "searched" where the job searches one."""
    verdict: str
    """best, as good, worse, undecided, or not judged."""
    because: str
    trials: int
    """Number of finished trials: complete, infeasible and pruned ones."""
    seeds: int | None
    """Number of different training seeds of these trials; null where they were imported without them. This field and those below
    are null where the job is not judged."""
    learning_rate: EstimateView | None
    """The job's own best rate, or the one that it fixed; also null where it has none."""
    at_edge: str | None
    """low or high, where the best rate most likely lies at that end of the range searched: the job may not be tuned yet."""
    expected: EstimateView | None
    """The metric expected at that rate; where the rate was not searched, the mean over training seeds."""
    difference: DifferenceView | None
    """The difference from the best job; also null for the best job itself."""
    sensitivity: SensitivityView | None
    """Also null where no range of rates was searched."""
    best_point: BestPointView | None
    front: tuple[ConfigurationView, ...]
    """The Pareto front of speed (steps to the target that all jobs share) and final value: see /v1/jobs/{id}/trade-off."""
    curve: tuple[CurveView, ...] = ()
    """The response curve over the range searched, with the other parameters at their best for each rate; as far as most trials do
    not diverge. Empty where the job is not judged, or searched no range of rates."""


class AtRateView(Part):
    """A job at the shared rate."""

    job: UUID
    expected: EstimateView | None
    """The metric expected at that rate; null where the job's trials do not allow an estimate."""
    because: str | None
    """Why there is no estimate; null where there is one."""


class SharedRateView(Part):
    """The usual comparison at one learning rate for all jobs, where a job may win only because the rate suits it."""

    learning_rate: float
    jobs: tuple[AtRateView, ...]
    """The jobs that are judged."""
    winner: UUID | None
    """The job with the best expected metric at this rate; null where fewer than two jobs have an estimate there."""
    agrees: bool | None
    """Whether the winner is also the best job when each is judged at its own best rate."""
    because: str


class ComparisonView(Part):
    """A comparison of recipes, each at its own best learning rate."""

    metric: str
    direction: str
    level: float
    """The level of all intervals."""
    best: UUID
    most_robust: UUID
    """The job with the lowest sensitivity among the best one and those that are as good; the best one where none is known."""
    because: str
    target: Number
    """The target of all fronts: close to the best final value of the worst job, so that every job can reach it."""
    jobs: tuple[JudgedView, ...]
    """The jobs in the order of the request."""
    at_shared_rate: SharedRateView | None
    """Null where the request names no learning rate."""

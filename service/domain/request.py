"""A job as a user submits it, in which most fields are optional."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from service.domain.objective import AnyObjective, Document, Name
from service.domain.space import Point, SearchSpace
from service.domain.strategy import Bayesian, NoPruner, Pruner, Strategy

Label = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
TrainingSeed = Literal["per_trial", "shared"]

DEFAULT_TRIALS = 32
MAX_TRIALS = 1_000_000
MAX_SECONDS = 31_536_000
"""A year."""
MAX_TO_TRY_FIRST = 1_000
"""The largest number of trials of `try_first`: they are all enqueued in one transaction."""


class Budget(Document):
    """When a job is done: as soon as one of these limits is reached."""

    trials: int | None = Field(None, ge=1, le=MAX_TRIALS, description="Number of trials, failed ones included.")
    seconds: float | None = Field(
        None, gt=0, le=MAX_SECONDS, description="Seconds since the first trial was claimed, pauses excluded."
    )
    confirm: int | None = Field(
        None,
        ge=0,
        le=MAX_TRIALS,
        description="Number of trials, of those in `trials`, that train the best points again with fresh seeds, so that the"
        " answer does not rest on one lucky run. Default for random and bayesian search: a tenth of `trials`, at least 3; none"
        " below 16 trials, none for a grid, with replicates, and with a shared training seed. Of `seconds`, the last tenth is for"
        " them. 0: none.",
    )
    target: float | None = Field(
        None, allow_inf_nan=False, description="The job is done when a trial's value is at least this good."
    )
    failures: int = Field(
        5, ge=1, le=1_000_000, description="The job fails after this many failed trials with no success between them."
    )


class Extension(Document):
    """More of a job's budget: either trials or seconds."""

    trials: int | None = Field(None, ge=1, le=MAX_TRIALS, description="Further trials.")
    seconds: float | None = Field(None, gt=0, le=MAX_SECONDS, description="Further seconds.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.trials is None) == (self.seconds is None):
            raise ValueError("give either trials or seconds")
        return self


class Limits(Document):
    """Limits of one trial. Only training time counts, not waiting for a worker or for the database."""

    trial_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_SECONDS,
        description="A trial that trains for longer is pruned, and keeps its last value."
        " Steps that are trained again after a crash count once.",
    )
    step_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_SECONDS,
        description="A step that takes longer counts as stuck: the training process is replaced, which uses up an attempt."
        " The first step includes start-up, which takes some seconds where a process has to import torch.",
    )
    memory_mb: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="A training process that uses more megabytes of memory is killed, which uses up an attempt.",
    )


class JobRequest(Document):
    """A job as submitted. Fields that are left out take their defaults."""

    name: Name | None = None
    objective: AnyObjective
    search_space: SearchSpace | None = Field(None, description="If omitted: the objective's default space.", max_length=100)
    strategy: Strategy = Field(default_factory=Bayesian)
    pruner: Pruner = Field(default_factory=NoPruner)
    budget: Budget | None = Field(None, description=f"If omitted: every grid point, or {DEFAULT_TRIALS} trials.")
    try_first: list[Point] = Field(
        default_factory=list, max_length=MAX_TO_TRY_FIRST, description="Points to try before the strategy's own."
    )
    metric: Name | None = Field(None, description="If omitted: the objective's first metric.")
    training_seed: TrainingSeed = Field(
        "per_trial",
        description="per_trial: each trial has its own training seed, drawn from the job's seed and the trial's number (in a"
        " grid: the point's index); the answer holds for training seeds in general. shared: all trials are trained with the"
        " job's seed; the answer holds for that seed only. Replicates use a separate set of seeds, the same for all points.",
    )
    replicates: int = Field(
        1,
        ge=1,
        le=100,
        description="The number of training seeds per point, each in a separate trial. Grid and random search try all of them for"
        " every point, bayesian search only for its best points. The budget counts trials.",
    )
    max_parallel: int | None = Field(None, ge=1, le=100_000, description="Largest number of trials that run at once.")
    max_attempts: int = Field(
        3, ge=1, le=10_000, description="A trial fails after this many attempts in a row without a new measurement."
    )
    limits: Limits = Field(default_factory=Limits, description="Limits of one trial; none by default.")
    priority: int = Field(0, ge=-1_000_000, le=1_000_000, description="Jobs with a larger number come first.")
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the search and of the training.")
    labels: dict[Label, Label] = Field(default_factory=dict, max_length=100)

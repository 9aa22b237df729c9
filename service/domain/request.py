"""What a user submits: a job, in which much may be left out."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.domain.space import Point, SearchSpace
from service.domain.strategy import Bayesian, NoPruner, Pruner, Strategy

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Label = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Direction = Literal["minimize", "maximize"]
TrainingSeed = Literal["per_trial", "shared"]

DEFAULT_TRIALS = 32
MAX_TRIALS = 1_000_000
MAX_TO_TRY_FIRST = 1_000
"""Trials: they are all enqueued at once."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ObjectiveChoice(_Document):
    """Which objective to train, and its settings."""

    name: Name
    settings: dict[str, Any] = Field(default_factory=dict, description="By the objective's JSON Schema; see GET /v1/objectives.")


class Budget(_Document):
    """When a job is done: at whichever comes first."""

    trials: int | None = Field(None, ge=1, le=MAX_TRIALS, description="Trial numbers to issue, failed ones included.")
    seconds: float | None = Field(None, gt=0, le=31_536_000, description="Since the first trial was claimed, pauses left out.")
    target: float | None = Field(None, allow_inf_nan=False, description="Done when a trial's value is at least this good.")
    failures: int = Field(5, ge=1, le=1_000_000, description="So many failed trials with no success between them fail the job.")


class Limits(_Document):
    """What one trial may take. Times are of training: waiting for a worker or for the database does not count."""

    trial_seconds: float | None = Field(
        None,
        gt=0,
        le=31_536_000,
        description="A trial that trains for longer is pruned: its last value stands."
        " What is trained again after a crash counts once.",
    )
    step_seconds: float | None = Field(
        None,
        gt=0,
        le=31_536_000,
        description="A step that takes longer is stuck: its training process is replaced, an attempt."
        " The first step includes starting up: some seconds, where a process has to import torch.",
    )
    memory_mb: int | None = Field(
        None, ge=1, le=2**31 - 1, description="A training process that holds more megabytes is killed, an attempt."
    )


class JobRequest(_Document):
    """A job as submitted: what is left out takes its default."""

    name: Name | None = None
    objective: ObjectiveChoice
    search_space: SearchSpace | None = Field(None, description="Left out: the objective's default space.", max_length=100)
    strategy: Strategy = Field(default_factory=Bayesian)
    pruner: Pruner = Field(default_factory=NoPruner)
    budget: Budget | None = Field(None, description=f"Left out: every grid point, or {DEFAULT_TRIALS} trials.")
    try_first: list[Point] = Field(
        default_factory=list, max_length=MAX_TO_TRY_FIRST, description="Points to try before the sampler's own."
    )
    metric: Name | None = Field(None, description="Left out: the objective's first metric.")
    training_seed: TrainingSeed = Field(
        "per_trial",
        description="per_trial: each trial is trained with a seed of its own, drawn from the job's seed and the trial's number"
        " (in a grid: the point's); the answer is about training seeds at large. shared: all are trained with the job's seed; the"
        " answer is about that seed alone. Replicates have a set of seeds of their own, the same for all points.",
    )
    replicates: int = Field(
        1,
        ge=1,
        le=100,
        description="With how many training seeds a point is tried, each in a trial of its own: grid and random search try all of"
        " them, bayesian search those of its best points. The budget counts trials.",
    )
    max_parallel: int | None = Field(None, ge=1, le=100_000, description="Trials that may run at once.")
    max_attempts: int = Field(3, ge=1, le=10_000, description="Attempts in a row that may die without a new measurement.")
    limits: Limits = Field(default_factory=Limits, description="What one trial may take; left out: as much as it likes.")
    priority: int = Field(0, ge=-1_000_000, le=1_000_000, description="Larger first.")
    seed: int = Field(0, ge=0, lt=2**63, description="Of the search and of the training.")
    labels: dict[Label, Label] = Field(default_factory=dict, max_length=100)

"""What clients that train trials send, and what they are answered."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from service.api.schemas.view import View
from service.dispatch.client_curve import Step
from service.dispatch.client_runs import ToDo
from service.domain.job import JobState
from service.domain.number import Reported
from service.domain.objective import Document, Name
from service.domain.space import Point
from service.domain.trial import TrialError

MOST_TOKENS = 64
MOST_STEPS = 1_000

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Token = Annotated[UUID, Field(strict=False, description="A random UUID that the client draws for the trial.")]


class ClaimRequest(Document):
    """Whose trials are claimed, and how many."""

    worker: Name = Field(description="The name of the client, such as its host and process.")
    tokens: list[Token] = Field(min_length=1, max_length=MOST_TOKENS, description="One for each trial that is wanted.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.tokens)) < len(self.tokens):
            raise ValueError("tokens must differ from each other: draw a new one for every trial")
        return self


class ClaimedTrial(View):
    """A trial to train."""

    number: int
    token: UUID
    """What its lease is held by: every report names it."""
    params: Point
    """All parameters, fixed ones too."""
    seed: int
    """The training seed."""
    attempt: int
    """Counts from 1: larger where an earlier attempt was given back or has vanished."""
    lease_s: float
    """Seconds after which others may take it over, unless something is reported."""
    resume_step: int | None
    """The step of the checkpoint that it may go on from; null: there is none."""


class Claimed(View):
    """The trials that a client has claimed."""

    state: JobState
    """Of the job."""
    trials: list[ClaimedTrial]
    """Fewer than tokens where there is nothing more to do now."""
    retry_after_s: float | None
    """Seconds after which to ask again; null: the job is over."""


class StepReport(Document):
    """What was measured at a step."""

    step: int = Field(ge=1, le=2**31 - 1, description="Counted from 1.")
    fraction: float | None = Field(
        None, gt=0, le=1, description="Which part of the run is done; left out: by the steps that the job declares."
    )
    learning_rate: Reported | None = Field(
        None, description="What the optimizer applied; left out: the trial's parameter that is the learning rate."
    )
    in_warmup: bool = Field(False, description="Whether the rate was still rising.")
    seconds: float = Field(0.0, ge=0, allow_inf_nan=False, description="How long the step took.")
    metrics: dict[Name, Reported] = Field(
        min_length=1, max_length=100, description='The job\'s metric among them. "NaN" and "Infinity": it has diverged.'
    )

    @property
    def as_step(self) -> Step:
        """The same, to be stored."""
        return Step(**dict(self))


class _Report(Document):
    token: Token


class MeasurementsRequest(_Report):
    """What was measured, in the order of the steps."""

    measurements: list[StepReport] = Field(min_length=1, max_length=MOST_STEPS)


class HeartbeatRequest(_Report):
    """That a trial is being trained."""

    log: Text | None = Field(None, description="What its training has printed last: 16 KB of it are kept.")


class ReleaseRequest(_Report):
    """That a trial is given back."""

    reason: Annotated[Text, StringConstraints(min_length=1, max_length=2_000)] = "its client gave it back"


class ErrorReport(Document):
    """Why a trial failed."""

    type: Name
    message: Text
    traceback: Text | None = None

    @property
    def as_error(self) -> TrialError:
        """The same, to be stored."""
        return TrialError(**dict(self))


class FinishRequest(_Report):
    """That the training of a trial has ended."""

    measurements: list[StepReport] = Field(
        default_factory=list, max_length=MOST_STEPS, description="What has not been sent before."
    )
    value: Reported | None = Field(None, description="The trial's value, where it is not the job's metric at the last step.")
    attributes: dict[Name, Any] = Field(default_factory=dict, max_length=1_000, description="What else is stored with the trial.")
    test_metrics: dict[Name, Reported] = Field(
        default_factory=dict, max_length=1_000, description="Measured on data that neither training nor search has seen."
    )
    error: ErrorReport | None = Field(None, description="What was raised: the trial has failed.")


class Report(View):
    """The answer to a report."""

    answer: ToDo
    """go_on; prune: the trial is over, finish it; stop: store a checkpoint, and release it."""
    reason: str | None
    """Why it is to end; null: it is not."""
    lease_s: float
    """Seconds after which others may take the trial over, unless something is reported."""
    state: JobState
    """Of the job."""


class Finished(View):
    """What became of a trial."""

    result: Literal["completed", "infeasible", "pruned", "failed"]
    """infeasible: it has diverged."""
    value: float | None
    """Null where it has none."""
    state: JobState
    """Of the job."""


class Released(View):
    """The job of a trial that was given back."""

    state: JobState

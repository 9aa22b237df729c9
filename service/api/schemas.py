"""What the API answers. Numbers that are not finite are null; times are RFC 3339 in UTC."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainSerializer

from service.domain.answer import BestTrial
from service.domain.job import Job, JobState
from service.domain.lease import Attempt, Outcome
from service.domain.meaning import RateShift, Role
from service.domain.measurement import Measurement
from service.domain.number import Number, finite
from service.domain.request import JobRequest
from service.domain.space import Point, Scalar
from service.domain.trial import Trial, TrialCounts, TrialError, TrialState

Moment = Annotated[datetime, PlainSerializer(lambda moment: moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), str)]
Item = TypeVar("Item")


class View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Page(View, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next_cursor: str | None
    """For `?cursor=`, to get the next part; null at the end."""


class TrialProgress(View):
    """How many trials stand in each state; total is the sum of the six."""

    planned: int | None
    """Null where the budget does not say."""
    total: int
    waiting: int
    running: int
    complete: int
    infeasible: int
    pruned: int
    failed: int

    @classmethod
    def of(cls, counts: TrialCounts, planned: int | None) -> Self:
        return cls(
            planned=planned,
            total=counts.total,
            waiting=counts.waiting,
            running=counts.running,
            complete=counts.complete,
            infeasible=counts.infeasible,
            pruned=counts.pruned,
            failed=counts.failed,
        )


class Progress(View):
    """How far a job is."""

    trials: TrialProgress


class WarningView(View):
    """What is probably meant otherwise in a job that can be run as it is."""

    pointer: str
    """A JSON pointer into the job's `spec`."""
    detail: str
    """What is doubtful, and what would be right."""


class JobView(View):
    """A job."""

    id: UUID
    name: str | None
    state: JobState
    reason: str | None
    waiting_for: str | None
    """What keeps it from going on, when something does."""
    spec: JobRequest
    """As submitted, defaults filled."""
    warnings: list[WarningView]
    """Of the spec; empty where nothing is doubtful."""
    roles: dict[Role, str]
    """By role, what the objective calls the parameter that has it."""
    step_word: str
    """What the objective calls a step: epoch, update, episode."""
    best: BestTrial | None
    study_name: str
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    progress: Progress

    @classmethod
    def of(
        cls, job: Job, counts: TrialCounts, best: Trial | None, waiting_for: str | None, warnings: Sequence[WarningView]
    ) -> Self:
        return cls(
            id=job.id,
            name=job.name,
            state=job.state,
            reason=job.reason,
            waiting_for=waiting_for,
            spec=job.spec,
            warnings=list(warnings),
            roles=job.spec.meaning.roles,
            step_word=job.spec.meaning.step_word,
            best=None if best is None else BestTrial(number=best.number, value=best.value, params=best.params),
            study_name=job.study_name,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            progress=Progress(trials=TrialProgress.of(counts, job.spec.budget.trials)),
        )


class Epochs(View):
    """How many steps a job will train: epochs, or what the objective calls them."""

    expected: float | None
    at_most: int | None
    """Null where the budget does not say how many trials there will be."""


class DryRun(View):
    """What a job would do; nothing was created."""

    spec: JobRequest
    warnings: list[WarningView]
    """Of the spec; empty where nothing is doubtful."""
    first_points: list[Point]
    """Of the first trials, in their order: with replicates, a point stands here once for each of its trials."""
    trials: int | None
    """Null where the budget does not say."""
    epochs: Epochs | None
    """Null where no parameter of the objective says how many steps to train."""
    roles: dict[Role, str]
    """By role, what the objective calls the parameter that has it."""
    step_word: str
    """What the objective calls a step: epoch, update, episode."""


class AttemptView(View):
    """One worker's attempt at a trial."""

    attempt: int
    worker: str
    started_at: Moment
    ended_at: Moment | None
    outcome: Outcome | None
    reason: str | None
    from_step: int | None
    """The step of the checkpoint that it went on from; null: from the start."""

    @classmethod
    def of(cls, attempt: Attempt) -> Self:
        return cls.model_validate(attempt, from_attributes=True)


class ErrorView(View):
    """Why a trial failed."""

    type: str
    message: str
    traceback: str | None

    @classmethod
    def of(cls, error: TrialError) -> Self:
        return cls.model_validate(error, from_attributes=True)


class TrialView(View):
    """A trial."""

    number: int
    state: TrialState
    value: Number
    params: Point
    diverged_at_step: int | None
    user_attrs: dict[str, Any]
    error: ErrorView | None
    started_at: Moment | None
    finished_at: Moment | None
    attempts: list[AttemptView]

    @classmethod
    def of(cls, trial: Trial) -> Self:
        return cls(
            number=trial.number,
            state=trial.state,
            value=trial.value,
            params=trial.params,
            diverged_at_step=trial.diverged_at_step,
            user_attrs=_jsonable(trial.user_attrs),
            error=None if trial.error is None else ErrorView.of(trial.error),
            started_at=trial.started_at,
            finished_at=trial.finished_at,
            attempts=[AttemptView.of(attempt) for attempt in trial.attempts],
        )


def _jsonable(value: Any) -> Any:
    """A foreign script's attributes may hold nan and infinities."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return {key: _jsonable(item) for key, item in value.items()} if isinstance(value, dict) else value


class GroupRateView(View):
    """What the optimizer used for one group of parameters, in a step's last update."""

    group: str
    learning_rate: Number
    momentum: Number
    """Null for optimizers that have none."""


class MeasurementView(View):
    """One step of a trial's training."""

    step: int
    fraction: float
    """The part of the trial's own schedule that was done."""
    in_warmup: bool
    metrics: dict[str, Number]
    learning_rate: Number
    """The rate that the optimizer applied."""
    seconds: Number
    group_rates: list[GroupRateView]
    """By group of parameters, where the objective tells."""
    update_losses: list[tuple[int, Number]]
    """Update, counted from 1 over the whole run, and its training loss, where the objective tells."""
    best_step: int | None
    """The step whose weights the run would have kept if it had ended here; null: this step's."""

    @classmethod
    def of(cls, measurement: Measurement) -> Self:
        return cls.model_validate(measurement, from_attributes=True)


class Log(View):
    """The last lines that a trial's training printed."""

    log: str


class WorkerView(View):
    """A worker."""

    id: UUID
    name: str
    state: str
    """idle, training, lost or stopped."""
    objectives: list[str]
    set_aside: dict[str, str]
    """Objectives that it could not train when it last tried, and why: they are tried again."""
    device: str
    version: str
    started_at: Moment
    seen_at: Moment
    open_leases: int


class MetricView(View):
    """A metric that a job may name."""

    name: str
    direction: str
    description: str


class ParameterView(View):
    """A parameter that a job may fix or search."""

    name: str
    type: str
    default: Scalar
    description: str
    low: float | None
    """The smallest legal value; null: there is none."""
    low_open: bool
    """Whether low itself is illegal."""
    high: float | None
    """The largest legal value; null: there is none."""
    high_open: bool
    """Whether high itself is illegal."""
    choices: list[bool | str] | None
    """The legal values of a categorical parameter."""
    applies_when: list[dict[str, list[Scalar]]]
    """Where it means anything: each entry names parameters or settings, and the values that all of them must have; one entry is
    enough. Empty: always."""
    role: Role | None
    """What it is to training; null: nothing that the service asks for."""
    scale: str
    """On which it counts, wherever it is searched: linear, log, or decay, which is log(1 - value)."""
    rate_shift: RateShift | None
    """How the best learning rate goes with it, as known before any trial."""
    defines_measure: bool | list[str]
    """Whether jobs that differ in it are not compared: by any metric, or by those named."""


class ObjectiveView(View):
    """What a job can train."""

    name: str
    description: str
    metrics: list[MetricView]
    """The first is the default."""
    parameters: list[ParameterView]
    search_space: dict[str, Any]
    """The default one."""
    settings_schema: dict[str, Any]
    """JSON Schema of the settings."""
    step_word: str
    """What a step is called: epoch, update, episode."""

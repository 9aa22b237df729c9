"""Trials, their attempts and measurements, as the API returns them."""

from typing import Any, Self

from service.api.schemas.view import Moment, View
from service.domain.lease import Attempt, Outcome
from service.domain.measurement import Measurement
from service.domain.number import Number, finite
from service.domain.space import Point
from service.domain.trial import Trial, TrialError, TrialState


class AttemptView(View):
    """One worker's attempt at a trial."""

    attempt: int
    worker: str
    started_at: Moment
    ended_at: Moment | None
    outcome: Outcome | None
    reason: str | None
    from_step: int | None
    """The step of the checkpoint from which it continued; null: it started from the beginning."""

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
    last_step: int | None
    """The last step that was measured; null: nothing was measured, or the measurements were deleted."""
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
            last_step=trial.last_step,
            diverged_at_step=trial.diverged_at_step,
            user_attrs=_jsonable(trial.user_attrs),
            error=None if trial.error is None else ErrorView.of(trial.error),
            started_at=trial.started_at,
            finished_at=trial.finished_at,
            attempts=[AttemptView.of(attempt) for attempt in trial.attempts],
        )


def _jsonable(value: Any) -> Any:
    """`value` without nan and infinities, which attributes set by a user's own script may contain."""
    if isinstance(value, float):
        return finite(value)
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return {key: _jsonable(item) for key, item in value.items()} if isinstance(value, dict) else value


class GroupRateView(View):
    """What the optimizer used for one parameter group in a step's last update."""

    group: str
    learning_rate: Number
    momentum: Number
    """Null for optimizers that have none."""


class MeasurementView(View):
    """One step of a trial's training."""

    step: int
    fraction: float
    """The fraction of the trial's own schedule that was completed, in (0, 1]."""
    in_warmup: bool
    metrics: dict[str, Number]
    learning_rate: Number
    """The rate that the optimizer applied."""
    seconds: Number
    group_rates: list[GroupRateView]
    """By parameter group, where the objective reports them."""
    update_losses: list[tuple[int, Number]]
    """Pairs of an update, counted from 1 over the whole run, and its training loss, where the objective reports them."""
    best_step: int | None
    """The step whose weights the run would have kept if it had ended here; null: this step's."""

    @classmethod
    def of(cls, measurement: Measurement) -> Self:
        return cls.model_validate(measurement, from_attributes=True)


class Log(View):
    """The last lines that a trial's training printed."""

    log: str

"""Jobs, as the API returns them."""

from collections.abc import Sequence
from typing import Self
from uuid import UUID

from service.api.schemas.view import Moment, View
from service.domain.answer import BestTrial
from service.domain.job import Job, JobState
from service.domain.meaning import Role
from service.domain.request import Budget, JobRequest
from service.domain.space import Point
from service.domain.trial import Trial, TrialCounts, TrialError


class TrialProgress(View):
    """How many trials are in each state; total is the sum of the six."""

    planned: int | None
    """Null where the budget does not limit the number of trials."""
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
    """What is probably a mistake in a job that can be run as it is."""

    pointer: str
    """A JSON pointer into the job's `spec`."""
    detail: str
    """What is doubtful, and what would be better."""


class FailureView(View):
    """A trial that failed, and why."""

    number: int
    type: str
    message: str

    @classmethod
    def of(cls, number: int, error: TrialError) -> Self:
        return cls(number=number, type=error.type, message=error.message)


class JobView(View):
    """A job."""

    id: UUID
    name: str | None
    state: JobState
    reason: str | None
    phase: str
    """The current phase: search, or confirm, in which the best points are trained again with fresh seeds."""
    waiting_for: str | None
    """What the job waits for; null where it waits for nothing."""
    spec: JobRequest
    """As submitted, with defaults filled in."""
    source: str | None
    """Where its first trials were imported from; null: it has trained them itself."""
    objective_sha256: str | None
    """Of its objective's declaration and source: workers that have others take none of its trials. Null: they may, as where it is
    built in."""
    budget: Budget
    """That of `spec`, until the job is extended."""
    warnings: list[WarningView]
    """Warnings about the spec; empty where nothing is doubtful."""
    roles: dict[Role, str]
    """By role, the name of the objective's parameter that has it."""
    step_word: str
    """What the objective calls a step: epoch, update, episode."""
    best: BestTrial | None
    last_failure: FailureView | None
    """The trial that failed last with an error; null where none did. The trial itself has the traceback."""
    study_name: str
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    progress: Progress

    @classmethod
    def of(
        cls,
        job: Job,
        counts: TrialCounts,
        best: Trial | None,
        last_failed: tuple[int, TrialError] | None,
        waiting_for: str | None,
        warnings: Sequence[WarningView],
    ) -> Self:
        return cls(
            id=job.id,
            name=job.name,
            state=job.state,
            reason=job.reason,
            phase=job.phase.name,
            waiting_for=waiting_for,
            spec=job.spec,
            source=job.source,
            objective_sha256=None if job.objective_sha256 is None else job.objective_sha256.hex(),
            budget=job.budget,
            warnings=list(warnings),
            roles=job.spec.meaning.roles,
            step_word=job.spec.meaning.step_word,
            best=None if best is None else BestTrial(number=best.number, value=best.value, params=best.params),
            last_failure=None if last_failed is None else FailureView.of(*last_failed),
            study_name=job.study_name,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            progress=Progress(trials=TrialProgress.of(counts, job.budget.trials)),
        )


class Epochs(View):
    """How many steps a job will train: epochs, or whatever the objective calls them."""

    expected: float | None
    at_most: int | None
    """Null where the budget does not limit the number of trials."""


class DryRun(View):
    """What a job would do; nothing was created."""

    spec: JobRequest
    summary: list[str]
    """What the job would do, in sentences: how many trials, what they search, what is assumed for fields that are left out."""
    warnings: list[WarningView]
    """Warnings about the spec; empty where nothing is doubtful."""
    first_points: list[Point]
    """The points of the first trials, in order; with replicates, a point is repeated for each of its trials."""
    trials: int | None
    """Null where the budget does not limit the number of trials."""
    epochs: Epochs | None
    """Null where no parameter of the objective sets the number of steps."""
    roles: dict[Role, str]
    """By role, the name of the objective's parameter that has it."""
    step_word: str
    """What the objective calls a step: epoch, update, episode."""

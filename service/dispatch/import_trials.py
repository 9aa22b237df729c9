"""Import trials that were trained elsewhere: a finished job with all of them, in one transaction.

They are judged as a worker's are, by `outcome`, before the transaction begins.
"""

import math
from collections.abc import Sequence
from typing import Any, assert_never
from uuid import uuid4

import sqlalchemy as sa

from objectives.contract import Objective
from objectives.diagnosis.divergence import find_no_number
from service.dispatch.outcome import Curve, Failed, Infeasible, Pruned, Result, as_stored, ignored
from service.dispatch.submit import add_confirming_phase, add_phase, insert_study, submitted_before
from service.domain.events import Event
from service.domain.imported import ImportedStep, ImportedTrial
from service.domain.job import Job, JobState
from service.domain.meaning import Role
from service.domain.measurement import Measurement
from service.domain.objective import ExternalObjective
from service.domain.request import Budget
from service.domain.space import fixed
from service.domain.spec import JobSpec
from service.domain.training_seeds import TRAINING_SEED
from service.domain.trial import TrialError
from service.search.sampling import stored_points
from service.store import imports, jobs
from service.store.imports import ImportedRow

FEWEST_TO_DIAGNOSE = 2
"""Steps of a curve: one value shows no course."""


def judged(spec: JobSpec, objective: Objective, trials: Sequence[ImportedTrial]) -> list[ImportedRow]:
    """The trials as they are stored. Their parameters lie in the job's space; their steps ascend and have the job's metric."""
    params = stored_points(spec, [trial.params for trial in trials])
    rows = []
    for number, trial in enumerate(trials):
        measured = _steps(spec, trial)
        curve, result = _judged(spec, trial, measured)
        stored = as_stored(result, spec)
        steps = [] if curve.last is None else [step for step in measured if step.step <= curve.last.step]
        attrs = {**stored.user_attrs, **_notes(spec, objective, trial, curve, result, len(steps))}
        rows.append(
            ImportedRow(
                number=number,
                state=stored.state,
                value=stored.value,
                params=params[number],
                user_attrs=attrs if trial.seed is None else {**attrs, TRAINING_SEED: trial.seed},
                system_attrs=stored.system_attrs,
                steps=steps,
            )
        )
    return rows


def import_job(
    conn: sa.Connection,
    spec: JobSpec,
    rows: Sequence[ImportedRow],
    *,
    source: str,
    objective_sha256: bytes | None = None,
    idempotency_key: str | None = None,
    request_sha256: bytes | None = None,
) -> Job:
    """Store a completed job with these trials. The same key with the same request returns the existing job.

    spec: its budget is the number of trials. Raises IdempotencyKeyReused for another request.
    """
    known = submitted_before(conn, idempotency_key, request_sha256)
    if known is not None:
        return known
    job_id = uuid4()
    # Whether some of the trials that it is extended by confirm is decided then: of these none does.
    confirm = 0 if spec.training_seed == "shared" else None
    spec = spec.model_copy(update={"budget": Budget(trials=len(rows), confirm=confirm)})
    study_id = insert_study(conn, job_id, spec)
    jobs.insert_job(
        conn,
        job_id,
        spec,
        study_id,
        objective_sha256=objective_sha256,
        source=source,
        idempotency_key=idempotency_key,
        request_sha256=request_sha256,
    )
    add_phase(conn, job_id, 0, spec, trials=None if confirm == 0 else len(rows))
    if confirm is None:
        add_confirming_phase(conn, job_id, 1, spec, trials=0, seconds=None)
    job = jobs.lock_with_study(conn, job_id)
    imports.insert(conn, study_id, rows, spec.metric)
    reason = "all of its trials were imported"
    jobs.move(
        conn,
        job,
        state=JobState.COMPLETED,
        reason=reason,
        events=[(Event.JOB_IMPORTED, {"source": source, "trials": len(rows)}), (Event.JOB_COMPLETED, {"reason": reason})],
    )
    return jobs.get(conn, job_id)


def _judged(spec: JobSpec, trial: ImportedTrial, measured: Sequence[Measurement]) -> tuple[Curve, Result]:
    """What the trial's curve shows, up to where it diverged, and its result."""
    curve = Curve(spec.metric, is_minimized=spec.direction == "minimize")
    for step in measured:
        if (failed := curve.take(step)) is not None:
            return curve, failed
        if curve.divergence is not None:
            return curve, curve.divergence
    match trial.outcome:
        case "completed":
            return curve, curve.completed({}, {}, value=trial.value, user_attrs=trial.attributes)
        case "diverged":
            last = curve.last
            evidence = trial.reason or "whoever imported it says so"
            return curve, Infeasible(
                step=0 if last is None else last.step, fraction=0.0 if last is None else last.fraction, evidence=evidence
            )
        case "pruned":
            if curve.last is None:
                return curve, Pruned(value=math.nan, step=0, stopped_by=trial.reason, user_attrs=trial.attributes)
            return curve, curve.ended_at(curve.last, stopped_by=trial.reason, user_attrs=trial.attributes)
        case "failed":
            return curve, Failed(error=TrialError(type="RunFailed", message=trial.reason or "it failed where it was trained"))
    assert_never(trial.outcome)


def _steps(spec: JobSpec, trial: ImportedTrial) -> list[Measurement]:
    total = _total(spec, trial)
    return [_step(step, total, spec.metric) for step in trial.measurements]


def _step(step: ImportedStep, total: int, metric: str) -> Measurement:
    fraction = min(1.0, step.step / total) if step.fraction is None else step.fraction
    return Measurement(
        step=step.step,
        fraction=fraction,
        in_warmup=step.in_warmup,
        metrics=step.metrics,
        # What was not measured is no number.
        learning_rate=math.nan if step.learning_rate is None else step.learning_rate,
        seconds=math.nan if step.seconds is None else step.seconds,
        divergence=find_no_number(step.metrics, metric, step=step.step, fraction=fraction),
    )


def _total(spec: JobSpec, trial: ImportedTrial) -> int:
    """The number of steps of the whole run: as the objective declares it, but no fewer than were measured."""
    declared = spec.objective.steps if isinstance(spec.objective, ExternalObjective) else spec.meaning.named(Role.DURATION)
    values = {**fixed(spec.search_space), **trial.params}
    steps = values.get(declared) if isinstance(declared, str) else declared
    last = trial.measurements[-1].step if trial.measurements else 1
    return max(steps, last) if isinstance(steps, int) else last


def _notes(
    spec: JobSpec, objective: Objective, trial: ImportedTrial, curve: Curve, result: Result, n_steps: int
) -> dict[str, Any]:
    """What is said of a trial beside its result: parameters that meant nothing in it, and what its curve shows."""
    if isinstance(result, Failed):
        return {}
    names = ignored(objective, spec, trial.params)
    found = curve.diagnosis(result) if n_steps >= FEWEST_TO_DIAGNOSE else {}
    return ({"ignored": names} if names else {}) | ({"diagnosis": found} if found else {})

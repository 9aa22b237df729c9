"""Submit a job: its row, its phase, its study and its event, in one transaction."""

from uuid import UUID, uuid4

import sqlalchemy as sa

from service.domain.events import Event
from service.domain.job import Job
from service.domain.phase import CONFIRM, SEARCH
from service.domain.request import MAX_TRIALS
from service.domain.spec import JobSpec
from service.domain.strategy import Confirm
from service.domain.training_seeds import marks
from service.errors import IdempotencyKeyReused
from service.search.next_trial import points_to_try_first
from service.search.strategies import strategy_of
from service.store import jobs, phases, trials

METRIC_NAMES = "study:metric_names"
"""The study's system attribute that Optuna's `set_metric_names` writes."""


def submit(
    conn: sa.Connection,
    spec: JobSpec,
    *,
    objective_sha256: bytes | None = None,
    idempotency_key: str | None = None,
    request_sha256: bytes | None = None,
    earlier_sha256: bytes | None = None,
) -> tuple[Job, bool]:
    """Store a job of this spec; returns it, and whether it is new.

    objective_sha256: the version of its objective that may train it; None: any. earlier_sha256: of the same request, as versions
    up to 0.1 stored it, which left out of which kind strategy and pruner are.
    The same key with the same request returns the existing job. Raises IdempotencyKeyReused for another request. Of two
    concurrent submissions with one key the second violates the unique index, is retried by the transaction helper, and then
    finds the job of the first.
    """
    known = submitted_before(conn, idempotency_key, request_sha256, earlier_sha256)
    if known is not None:
        return known, False
    job_id = uuid4()
    study_id = insert_study(conn, job_id, spec)
    jobs.insert_job(
        conn,
        job_id,
        spec,
        study_id,
        objective_sha256=objective_sha256,
        idempotency_key=idempotency_key,
        request_sha256=request_sha256,
    )
    _add_phases(conn, job_id, spec)
    job = jobs.lock_with_study(conn, job_id)
    for number, (point, replicate) in enumerate(points_to_try_first(spec)):
        trials.insert_trial(
            conn,
            study_id,
            number,
            state="WAITING",
            user_attrs=marks(replicate, spec.replicates),
            system_attrs={"fixed_params": point},  # as Optuna's `enqueue_trial` writes it
        )
    jobs.move(conn, job, events=[(Event.JOB_SUBMITTED, {"name": spec.name, "objective": spec.objective.name})])
    return job, True


def submitted_before(conn: sa.Connection, idempotency_key: str | None, *sha256s: bytes | None) -> Job | None:
    """The job that a request with this key has made. Raises IdempotencyKeyReused unless its hash is one of these."""
    known = None if idempotency_key is None else jobs.by_idempotency_key(conn, idempotency_key)
    if known is None:
        return None
    job_id, sha256 = known
    if sha256 not in sha256s:
        raise IdempotencyKeyReused
    return jobs.get(conn, job_id)


CONFIRMING_SHARE = 0.1
"""The part of `budget.seconds` that is kept for trials that confirm."""


def confirming_seconds(seconds: float) -> float | None:
    """How many of these seconds are kept for trials that confirm; None where the part is too small for a float above zero."""
    return CONFIRMING_SHARE * seconds or None


def _add_phases(conn: sa.Connection, job_id: UUID, spec: JobSpec) -> None:
    """The search, and what the budget keeps to confirm what it finds."""
    budget, confirm = spec.budget, spec.budget.confirm
    if confirm == 0:
        add_phase(conn, job_id, 0, spec)
        return
    add_phase(conn, job_id, 0, spec, trials=None if budget.trials is None else budget.trials - (confirm or 0))
    seconds = None if budget.seconds is None else confirming_seconds(budget.seconds)
    add_confirming_phase(conn, job_id, 1, spec, trials=confirm, seconds=seconds)


def add_confirming_phase(
    conn: sa.Connection, job_id: UUID, position: int, spec: JobSpec, *, trials: int | None, seconds: float | None
) -> None:
    """Write a phase that trains again what the one before has found. trials, seconds: as in `store.phases.insert`."""
    confirming = spec.model_copy(update={"strategy": Confirm()})
    add_phase(conn, job_id, position, confirming, name=CONFIRM, trials=trials, seconds=seconds)


def add_phase(
    conn: sa.Connection,
    job_id: UUID,
    position: int,
    spec: JobSpec,
    *,
    name: str = SEARCH,
    trials: int | None = None,
    seconds: float | None = None,
) -> None:
    """Write a phase of a job that the caller has inserted or locked; claims begin it when the one before has given out its share.

    spec: the job's, with the phase's space and strategy. trials: its share of the budget; None: all that the job has left.
    """
    strategy = strategy_of(spec)
    # Of the first phase submission has capped the budget already.
    points = strategy.n_points(spec.search_space) if position else None
    if points is not None:
        trials = min(trials or MAX_TRIALS, points * spec.replicates)
    phases.insert(
        conn,
        job_id,
        position,
        spec,
        name=name,
        needs_history=strategy.needs_history,
        counts_points=strategy.counts_points,
        trials=trials,
        seconds=seconds,
    )


def insert_study(conn: sa.Connection, job_id: UUID, spec: JobSpec) -> int:
    """The study of a job that is about to be inserted; returns its id."""
    return trials.insert_study(
        conn,
        # Short, since the dashboard shows it as a title. If the name exists, the transaction is retried with another id.
        f"{spec.name or spec.objective.name} ({str(job_id)[:8]})",
        spec.direction,
        user_attrs={
            "job": str(job_id),
            "objective": spec.objective.name,
            "settings": spec.objective.settings,
            "strategy": spec.strategy.model_dump(),
            "pruner": spec.pruner.model_dump(),
            "seed": spec.seed,
            "labels": spec.labels,
        },
        system_attrs={METRIC_NAMES: [spec.metric.replace("_", " ")]},
    )

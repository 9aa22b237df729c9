"""The checkpoints of a trial: which one it goes on from, and their rows, written under the lease."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from service.dispatch.attempt import Claim
from service.dispatch.finish import lock_job
from service.dispatch.renew import Answer, report
from service.domain.checkpoint import Checkpoint
from service.domain.events import Event
from service.domain.measurement import Measurement
from service.store import checkpoints, jobs, leases, measurements
from service.store.checkpoints import StoredCheckpoint


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a trial had come at its newest checkpoint."""

    checkpoint: StoredCheckpoint
    last: Measurement
    before: Measurement | None
    """The measurement of the step before the last."""
    seconds: float
    """Seconds of training up to the checkpoint."""


def position(conn: sa.Connection, claim: Claim, without: Sequence[int] = ()) -> Position | None:
    """Where the trial resumes; None: it starts from the beginning. without: ids of checkpoints that must not be used."""
    trial_id = claim.lease.trial_id
    found = newest(conn, trial_id, without)
    if found is None:
        return None
    if found.path is None:
        found = replace(found, content=checkpoints.content(conn, found.id) or b"")
    curve = measurements.of_trial(conn, trial_id, after_step=found.step - 2, limit=2)
    steps = {item.step: item for item in curve}
    return Position(
        checkpoint=found,
        last=steps[found.step],
        before=steps.get(found.step - 1),
        seconds=measurements.seconds_until(conn, trial_id, found.step),
    )


def newest(conn: sa.Connection, trial_id: int, without: Sequence[int] = ()) -> StoredCheckpoint | None:
    """The checkpoint from which a trial resumes, without its content. without: ids of checkpoints that must not be used."""
    found = checkpoints.newest(conn, trial_id, without=without)
    if found is None or not measurements.is_measured(conn, trial_id, found.step):
        return None  # deleted by hand: the checkpoint was stored together with its step, or after it
    return found


def note_resumed(conn: sa.Connection, claim: Claim, step: int) -> None:
    """Record that the attempt has resumed after this step. Raises LeaseLost."""
    job = lock_job(conn, claim.lease)
    leases.hold(conn, claim.lease)
    leases.resumed(conn, claim.lease, step)
    jobs.move(conn, job, events=[(Event.TRIAL_RESUMED, _payload(claim, step))])


def pass_over(conn: sa.Connection, claim: Claim, unusable: StoredCheckpoint, event: Event, reason: str) -> None:
    """Record that the trial cannot resume from a checkpoint. A damaged one is deleted. Raises LeaseLost."""
    job = lock_job(conn, claim.lease)
    leases.hold(conn, claim.lease)
    leases.resumed(conn, claim.lease, None)  # it may have seemed so until the first step after it
    if event is Event.CHECKPOINT_DAMAGED:
        checkpoints.discard(conn, unusable.id)
    payload = _payload(claim, unusable.step) | {"reason": reason}
    jobs.move(conn, job, events=[(event, payload)])


def note_failed(conn: sa.Connection, claim: Claim, step: int, reason: str) -> None:
    """Record that a checkpoint could not be taken. Raises LeaseLost."""
    job = lock_job(conn, claim.lease)
    leases.hold(conn, claim.lease)
    jobs.move(conn, job, events=[(Event.CHECKPOINT_FAILED, _payload(claim, step) | {"reason": reason})])


def save(
    conn: sa.Connection, claim: Claim, checkpoint: Checkpoint, pending: Sequence[Measurement], *, lease_s: float
) -> tuple[Answer, list[str]]:
    """Store a checkpoint together with the measurements up to it, and renew the lease.

    Returns the answer to the report, and the paths of files that may be deleted. Raises LeaseLost.
    """
    answer = report(conn, claim.job, claim.lease, pending, lease_s=lease_s)
    return answer, checkpoints.insert(conn, claim.lease, checkpoint)


def save_model(conn: sa.Connection, claim: Claim, checkpoint: Checkpoint) -> list[str]:
    """Store the weights of a trial that is about to finish; returns the paths of files that may be deleted. Raises LeaseLost."""
    leases.hold(conn, claim.lease)
    return checkpoints.insert(conn, claim.lease, checkpoint)


def _payload(claim: Claim, step: int) -> dict[str, object]:
    return {"trial": claim.lease.number, "attempt": claim.lease.attempt, "step": step}

"""Checkpoints on the worker's side: which one a trial goes on from, and their rows, written under the lease."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from service.dispatch.attempt import Claim
from service.dispatch.finish import lock_job
from service.dispatch.renew import Answer, report
from service.domain.checkpoint import Checkpoint
from service.domain.events import Event
from service.domain.measurement import Measurement
from service.store import checkpoints, jobs, leases, measurements
from service.store.checkpoints import StoredCheckpoint
from service.worker.trainer.messages import CheckpointPlace


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """How often, where and how large."""

    interval_s: float
    folder: Path | None
    """None: in the database."""
    max_bytes: int

    @property
    def folder_name(self) -> str | None:
        """The folder, as another process in another working folder finds it."""
        return None if self.folder is None else str(self.folder.absolute())

    def place(self, claim: Claim) -> CheckpointPlace:
        """Where an attempt's checkpoints go. Files carry the lease's id, so that no two attempts ever write the same."""
        return CheckpointPlace(
            folder=self.folder_name,
            name=f"{claim.job.id}/{claim.lease.number}-{claim.lease.id}",
            max_bytes=self.max_bytes,
        )


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a trial had come at its newest checkpoint."""

    checkpoint: StoredCheckpoint
    last: Measurement
    before: Measurement | None
    """The measurement of the step before the last."""
    seconds: float
    """Of training, up to there."""


def position(conn: sa.Connection, claim: Claim, without: Sequence[int] = ()) -> Position | None:
    """Where the trial goes on from; None: from the start. without: ids of checkpoints that are not to be used."""
    trial_id = claim.lease.trial_id
    found = checkpoints.newest(conn, trial_id, without=without)
    if found is None:
        return None
    if found.path is None:
        found = replace(found, content=checkpoints.content(conn, found.id) or b"")
    curve = measurements.of_trial(conn, trial_id, after_step=found.step - 2, limit=2)
    steps = {item.step: item for item in curve}
    last = steps.get(found.step)
    if last is None:  # deleted by hand: the checkpoint was stored together with it, or after it
        return None
    return Position(
        checkpoint=found,
        last=last,
        before=steps.get(found.step - 1),
        seconds=measurements.seconds_until(conn, trial_id, found.step),
    )


def note_resumed(conn: sa.Connection, claim: Claim, step: int) -> None:
    """The attempt goes on from there. Raises LeaseLost."""
    job = lock_job(conn, claim.lease)
    leases.hold(conn, claim.lease)
    leases.resumed(conn, claim.lease, step)
    jobs.move(conn, job, events=[(Event.TRIAL_RESUMED, _payload(claim, step))])


def pass_over(conn: sa.Connection, claim: Claim, unusable: StoredCheckpoint, event: Event, reason: str) -> None:
    """A checkpoint cannot be gone on from: the one before it stands in. A damaged one is deleted. Raises LeaseLost."""
    job = lock_job(conn, claim.lease)
    leases.hold(conn, claim.lease)
    if event is Event.CHECKPOINT_DAMAGED:
        checkpoints.discard(conn, unusable.id)
    payload = _payload(claim, unusable.step) | {"reason": reason}
    jobs.move(conn, job, events=[(event, payload)])


def note_failed(conn: sa.Connection, claim: Claim, step: int, reason: str) -> None:
    """A checkpoint could not be taken. Raises LeaseLost."""
    job = lock_job(conn, claim.lease)
    leases.hold(conn, claim.lease)
    jobs.move(conn, job, events=[(Event.CHECKPOINT_FAILED, _payload(claim, step) | {"reason": reason})])


def save(
    conn: sa.Connection, claim: Claim, checkpoint: Checkpoint, pending: Sequence[Measurement], *, lease_s: float
) -> tuple[Answer, list[str]]:
    """Store a checkpoint together with the measurements up to it, and renew the lease.

    Returns what the report is answered with, and the paths of files that may go. Raises LeaseLost.
    """
    answer = report(conn, claim.job, claim.lease, pending, lease_s=lease_s)
    return answer, checkpoints.insert(conn, claim.lease, checkpoint)


def save_model(conn: sa.Connection, claim: Claim, checkpoint: Checkpoint) -> list[str]:
    """Store the weights of a trial that is about to finish; returns the paths of files that may go. Raises LeaseLost."""
    leases.hold(conn, claim.lease)
    return checkpoints.insert(conn, claim.lease, checkpoint)


def model_metadata(claim: Claim, value: float) -> dict[str, str]:
    """What a best model says of itself, in the strings that safetensors allows."""
    spec = claim.job.spec
    return {
        "format": "pt",
        "objective": spec.objective.name,
        "settings": json.dumps(spec.objective.settings, sort_keys=True),
        "params": json.dumps(dict(claim.params), sort_keys=True),
        "metric": spec.metric,
        "value": repr(value),
        "seed": str(claim.training_seed),
        "job": str(claim.job.id),
        "trial": str(claim.lease.number),
    }


def _payload(claim: Claim, step: int) -> dict[str, object]:
    return {"trial": claim.lease.number, "attempt": claim.lease.attempt, "step": step}

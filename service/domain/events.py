"""The names of all events: the same in the log, in the table `events` and in the API. And an event as stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.domain.job import JobState


class Event(StrEnum):
    """What happened."""

    JOB_SUBMITTED = "job.submitted"
    JOB_IMPORTED = "job.imported"
    JOB_STARTED = "job.started"
    JOB_PAUSED = "job.paused"
    JOB_RESUMED = "job.resumed"
    JOB_EXTENDED = "job.extended"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    PHASE_STARTED = "phase.started"
    TRIAL_STARTED = "trial.started"
    TRIAL_COMPLETED = "trial.completed"
    TRIAL_INFEASIBLE = "trial.infeasible"
    TRIAL_PRUNED = "trial.pruned"
    TRIAL_FAILED = "trial.failed"
    TRIAL_RESUMED = "trial.resumed"
    CHECKPOINT_FAILED = "checkpoint.failed"
    CHECKPOINT_DAMAGED = "checkpoint.damaged"
    CHECKPOINT_PASSED_OVER = "checkpoint.passed_over"
    LEASE_TAKEN_OVER = "lease.taken_over"
    LEASE_RELEASED = "lease.released"
    LEASE_LOST = "lease.lost"
    SAMPLER_FAILED = "sampler.failed"
    TRAINER_DIED = "trainer.died"
    WORKER_STARTED = "worker.started"
    WORKER_STOPPED = "worker.stopped"
    WORKER_LOST = "worker.lost"
    WORKER_SET_ASIDE = "worker.set_aside"
    WORKER_REFUSED = "worker.refused"
    WORKER_FIT = "worker.fit"


FINAL_EVENTS: Mapping[JobState, Event] = {
    JobState.COMPLETED: Event.JOB_COMPLETED,
    JobState.FAILED: Event.JOB_FAILED,
    JobState.CANCELLED: Event.JOB_CANCELLED,
}
"""The event that is written when a job reaches each final state."""


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """An event of a job as stored."""

    seq: int
    """Its number in the job, from 1: the order in which events were committed."""
    at: datetime
    type: str
    """An `Event`, or one that only a newer version knows."""
    payload: Mapping[str, Any]

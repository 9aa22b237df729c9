"""The names of all events. The same name is used as log message, in the table `events`, and later for subscribers."""

from collections.abc import Mapping
from enum import StrEnum

from service.domain.job import JobState


class Event(StrEnum):
    """What happened."""

    JOB_SUBMITTED = "job.submitted"
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
    WORKER_FIT = "worker.fit"


FINAL_EVENTS: Mapping[JobState, Event] = {
    JobState.COMPLETED: Event.JOB_COMPLETED,
    JobState.FAILED: Event.JOB_FAILED,
    JobState.CANCELLED: Event.JOB_CANCELLED,
}
"""The event that is written when a job reaches each final state."""

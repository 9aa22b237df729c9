"""When a phase and when a job is over: pure rules on numbers that the store has read under the job's lock."""

from dataclasses import dataclass

from service.domain.job import Job, JobState
from service.domain.spec import JobSpec


@dataclass(frozen=True, kw_only=True)
class Issued:
    """What of a job has been given out, and what there is to give out."""

    next_number: int
    """Of its trials: so many numbers have been taken, foreign trials' among them."""
    open_leases: int
    waiting_trial_id: int | None = None
    """The enqueued trial with the smallest number."""
    share: int | None = None
    """The current phase's, in trials; None: all that the job has left."""
    has_next_phase: bool = False

    @property
    def waiting(self) -> bool:
        """Whether enqueued trials are left."""
        return self.waiting_trial_id is not None


def trials_of_phase(job: Job, share: int | None) -> int | None:
    """How many trials the current phase may have: its share, or what the job has left, if that is less; None: no end."""
    if job.budget.trials is None:
        return share
    left = job.budget.trials - job.phase.first_number
    return left if share is None else min(share, left)


def phase_issued(job: Job, *, next_number: int, share: int | None) -> bool:
    """Whether the current phase's trials have been given out. Where it counts points, foreign trials take none away."""
    trials = trials_of_phase(job, share)
    if trials is None:
        return False
    return (job.next_point if job.phase.counts_points else next_number - job.phase.first_number) >= trials


def all_issued(job: Job, issued: Issued) -> bool:
    """Whether the job's budget of trials has been given out: the current phase's, and none is left for a later one."""
    if not phase_issued(job, next_number=issued.next_number, share=issued.share):
        return False
    return not issued.has_next_phase or (job.budget.trials is not None and issued.next_number >= job.budget.trials)


def spec_of_phase(job: Job, share: int | None) -> JobSpec:
    """The current phase's spec with the budget as it stands: its trials end before the number `budget.trials`."""
    spec, trials = job.phase.spec, trials_of_phase(job, share)
    budget = job.budget.model_copy(update={"trials": None if trials is None else job.phase.first_number + trials})
    return spec if spec.budget == budget else spec.model_copy(update={"budget": budget})


def target_reached(job: Job, value: float | None) -> bool:
    """Whether a trial's value is at least as good as the job's target."""
    target = job.budget.target
    if target is None or value is None:
        return False
    sign = job.spec.cost_sign
    return sign * value <= sign * target


def verdict(
    job: Job, issued: Issued, *, failures_in_a_row: int, value: float | None, error: str | None
) -> tuple[JobState, str] | None:
    """The final state of a running job and the reason, or None while it goes on.

    value: of the trial that has just finished with success. error: why it failed, if it did.
    """
    if failures_in_a_row >= job.budget.failures:
        if failures_in_a_row == 1:
            return JobState.FAILED, f"a trial failed: {error}"
        return JobState.FAILED, f"{failures_in_a_row} trials failed in a row; the last one: {error}"
    if target_reached(job, value):
        return JobState.COMPLETED, f"target reached: {value:g}"
    if all_issued(job, issued) and issued.open_leases == 0 and not issued.waiting:
        if 0 < issued.next_number <= failures_in_a_row:
            if issued.next_number == 1:
                return JobState.FAILED, f"its only trial failed: {error}"
            return JobState.FAILED, f"all {issued.next_number} trials failed; the last error: {error}"
        return JobState.COMPLETED, "all trials of the budget have finished"
    return None

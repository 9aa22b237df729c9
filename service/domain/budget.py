"""When a phase is over and when a job is over: pure functions of numbers that the store has read under the job's lock."""

from dataclasses import dataclass

from service.domain.job import Job, JobState
from service.domain.spec import JobSpec


@dataclass(frozen=True, kw_only=True)
class Issued:
    """How much of a job's budget has been issued to workers, and what is left to issue."""

    next_number: int
    """The next trial number, which is also how many have been issued, foreign trials included."""
    open_leases: int
    waiting_trial_id: int | None = None
    """The enqueued trial with the smallest number."""

    @property
    def waiting(self) -> bool:
        """Whether any enqueued trial is left."""
        return self.waiting_trial_id is not None


def trials_of_phase(job: Job) -> int | None:
    """How many trials the current phase may have: its share, or what the job has left if that is less; None: no limit."""
    if job.budget.trials is None:
        return job.share
    left = job.budget.trials - job.phase.first_number
    return left if job.share is None else min(job.share, left)


def phase_issued(job: Job, *, next_number: int) -> bool:
    """Whether all trials of the current phase have been issued, or the rest of the time is for later phases.

    Where it counts points, foreign trials do not count.
    """
    if job.is_late and job.has_next_phase:
        return True
    trials = trials_of_phase(job)
    if trials is None:
        return False
    return (job.next_point if job.phase.counts_points else next_number - job.phase.first_number) >= trials


def all_issued(job: Job, issued: Issued) -> bool:
    """Whether the job's budget of trials has been issued: the current phase's share, and nothing is left for a later phase."""
    if not phase_issued(job, next_number=issued.next_number):
        return False
    counted = issued.next_number - foreign_trials(job, next_number=issued.next_number)
    return not job.has_next_phase or (job.budget.trials is not None and counted >= job.budget.trials)


def foreign_trials(job: Job, *, next_number: int) -> int:
    """How many trials have taken none of the current phase's points; 0 where it does not count points.

    The budget does not count them: `budget.trials` grows by them when the next phase begins, so that they take nothing of it.
    """
    return next_number - job.phase.first_number - job.next_point if job.phase.counts_points else 0


def spec_of_phase(job: Job) -> JobSpec:
    """The current phase's spec with the current budget: its trial numbers are below `budget.trials`."""
    spec, trials = job.phase.spec, trials_of_phase(job)
    end = None if trials is None else job.drawn_number(job.phase.first_number) + trials
    if (job.budget, end) == (spec.budget, spec.budget.trials):
        return spec
    return spec.model_copy(update={"budget": job.budget.model_copy(update={"trials": end})})


SMALLEST_TO_CONFIRM = 16
"""Trials of a budget below which none confirms, unless the request asks for it: the search needs them all."""
FEWEST_TO_CONFIRM = 3
CONFIRMING_PART = 10
"""One in so many trials confirms."""


def confirming_trials(trials: int) -> int:
    """How many trials of a budget confirm, where the request does not say it."""
    return 0 if trials < SMALLEST_TO_CONFIRM else max(FEWEST_TO_CONFIRM, trials // CONFIRMING_PART)


def confirming_trials_added(trials: int) -> int:
    """How many of the trials that a job is extended by confirm: as of a whole budget, but never more than half of them."""
    return min(max(FEWEST_TO_CONFIRM, trials // CONFIRMING_PART), trials // 2)


def target_reached(job: Job, value: float | None) -> bool:
    """Whether a trial's value is at least as good as the job's target."""
    target = job.budget.target
    if target is None or value is None:
        return False
    sign = job.spec.cost_sign
    return sign * value <= sign * target


def verdict(
    job: Job,
    issued: Issued,
    *,
    failures_in_a_row: int,
    value: float | None,
    error: str | None,
    for_every_trial: bool = False,
) -> tuple[JobState, str] | None:
    """The final state of a running job and the reason, or None while it goes on.

    value: the value of the trial that has just finished, if it succeeded. error: why it failed, if it did.
    for_every_trial: whether all others would fail for that reason.
    """
    if for_every_trial:
        return JobState.FAILED, f"no trial of this job can be trained: {error}"
    if failures_in_a_row >= job.budget.failures:
        if failures_in_a_row == 1:
            return JobState.FAILED, f"a trial failed: {error}"
        return JobState.FAILED, f"{failures_in_a_row} trials failed in a row; the last one: {error}"
    if target_reached(job, value):
        unconfirmed = "; nothing was trained again to confirm it" if job.has_next_phase else ""
        return JobState.COMPLETED, f"target reached: {value:g}{unconfirmed}"
    if all_issued(job, issued) and issued.open_leases == 0 and not issued.waiting:
        if 0 < issued.next_number <= failures_in_a_row:
            if issued.next_number == 1:
                return JobState.FAILED, f"its only trial failed: {error}"
            return JobState.FAILED, f"all {issued.next_number} trials failed; the last error: {error}"
        return JobState.COMPLETED, "all trials of the budget have finished"
    return None

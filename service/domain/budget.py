"""When a job is over: pure rules on numbers that the store has read under the job's lock."""

from service.domain.job import Job, JobState


def all_issued(job: Job, next_number: int) -> bool:
    """Whether the job's budget of trials has been given out. Where it counts points, foreign trials take none away."""
    trials = job.spec.budget.trials
    if trials is None:
        return False
    return (job.next_point if job.counts_points else next_number) >= trials


def target_reached(job: Job, value: float | None) -> bool:
    """Whether a trial's value is at least as good as the job's target."""
    target = job.spec.budget.target
    if target is None or value is None:
        return False
    sign = job.spec.cost_sign
    return sign * value <= sign * target


def verdict(
    job: Job, *, next_number: int, open_leases: int, waiting: bool, failures_in_a_row: int, value: float | None, error: str | None
) -> tuple[JobState, str] | None:
    """The final state of a running job and the reason, or None while it goes on.

    value: of the trial that has just finished with success. error: why it failed, if it did.
    """
    if failures_in_a_row >= job.spec.budget.failures:
        if failures_in_a_row == 1:
            return JobState.FAILED, f"a trial failed: {error}"
        return JobState.FAILED, f"{failures_in_a_row} trials failed in a row; the last one: {error}"
    if target_reached(job, value):
        return JobState.COMPLETED, f"target reached: {value:g}"
    if all_issued(job, next_number) and open_leases == 0 and not waiting:
        if 0 < next_number <= failures_in_a_row:
            if next_number == 1:
                return JobState.FAILED, f"its only trial failed: {error}"
            return JobState.FAILED, f"all {next_number} trials failed; the last error: {error}"
        return JobState.COMPLETED, "all trials of the budget have finished"
    return None

-- What changes about a job; what does not is read once per process.
-- Locks the job's row, FOR NO KEY UPDATE, against every other transaction that changes it; first in the order of locks.
-- Not twice: whoever comes second waits here and then sees what the first one wrote.
SELECT
    state, reason, phase, phase_trials, has_next_phase, next_point, failures_in_a_row, deadline_at, started_at, finished_at,
    budget_trials, budget_seconds, budget_target, budget_failures,
    coalesce(deadline_at - make_interval(secs => later_seconds) <= clock_timestamp(), false) AS is_late
FROM stride.jobs
WHERE id = %(job_id)s
FOR NO KEY UPDATE

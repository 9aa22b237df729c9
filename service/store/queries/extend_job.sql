-- More budget for a job. Anew: of one that had ended, which runs again.
-- Locks the job's row, which the caller holds already.
UPDATE stride.jobs
SET budget_trials = %(trials)s,
    budget_seconds = %(seconds)s,
    budget_target = %(target)s,
    failures_in_a_row = CASE WHEN %(anew)s THEN 0 ELSE failures_in_a_row END,
    seconds_left = CASE
        WHEN %(anew)s THEN %(added_seconds)s::double precision
        ELSE seconds_left + coalesce(%(added_seconds)s::double precision, 0)
    END,
    deadline_at = CASE
        WHEN %(anew)s THEN NULL
        ELSE deadline_at + make_interval(secs => coalesce(%(added_seconds)s::double precision, 0))
    END
WHERE id = %(job_id)s

-- A job goes on to its next phase, whose row says from now on with which trial number it began.
-- Locks the job's row, which the caller holds already, then the phase's, which nobody changes without the job's.
-- Not twice: whoever comes second waits for the job, and finds the phase begun.
WITH job AS (
    UPDATE stride.jobs
    SET phase = phase + 1, next_point = 0, sampling_until = NULL
    WHERE id = %(job_id)s
    RETURNING id, phase
)
UPDATE stride.phases
SET first_number = %(first_number)s,
    search_space = coalesce(%(search_space)s::jsonb, search_space),
    strategy = coalesce(%(strategy)s::jsonb, strategy),
    trials = coalesce(%(trials)s, trials)
FROM job
WHERE phases.job_id = job.id AND phases.position = job.phase

-- The job's row gets what claims must know of its current phase, from the phases' rows, after any of these has been written.
-- Locks the job's row, which the caller holds already or has inserted.
UPDATE stride.jobs
SET phase_trials = phase.trials,
    phase_first_number = phase.first_number,
    needs_history = phase.needs_history,
    counts_points = phase.counts_points,
    has_next_phase = EXISTS (
        SELECT FROM stride.phases AS later WHERE later.job_id = phase.job_id AND later.position = phase.position + 1
    ),
    later_seconds = (
        SELECT coalesce(sum(seconds), 0) FROM stride.phases AS later
        WHERE later.job_id = phase.job_id AND later.position > phase.position
    )
FROM stride.phases AS phase
WHERE jobs.id = %(job_id)s AND phase.job_id = jobs.id AND phase.position = jobs.phase

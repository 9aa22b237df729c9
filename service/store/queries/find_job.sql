-- The job whose turn it is, among those of the objectives, and their versions, that a worker offers: by priority, then by fewest
-- open leases, then by the longest time since its last claim. The last rule gives each job its turn where there are as many jobs as workers.
-- A worker may be for one job only.
-- Locks nothing: it only finds a candidate, which the claim locks and checks again.
-- A job whose current phase has given out its share is found for its next phase, while its budget has trials left for it.
-- Needs jobs_open_idx, leases_open_job_id_idx, stride_trials_study_id_number_key, stride_trials_waiting_idx. It counts nothing in
-- optuna.trials, so its cost does not grow with a job's history.
SELECT
    job.id AS job_id,
    job.phase,
    job.phase_trials AS share,
    job.has_next_phase,
    coalesce(job.deadline_at - make_interval(secs => job.later_seconds) <= clock_timestamp(), false) AS is_late,
    job.budget_trials,
    job.needs_history,
    held.open_leases,
    count(*) OVER (PARTITION BY job.priority) > 1 AS has_rivals
FROM stride.jobs AS job
CROSS JOIN LATERAL (
    SELECT count(*) AS open_leases FROM stride.leases WHERE job_id = job.id AND ended_at IS NULL
) AS held
WHERE job.state IN ('queued', 'running')
    AND job.objective = ANY(%(objectives)s::text[])
    AND (job.objective_sha256 IS NULL OR job.objective_sha256 = ANY(%(sha256s)s::bytea[]))
    AND (%(only)s::uuid IS NULL OR job.id = %(only)s)
    AND (job.sampling_until IS NULL OR job.sampling_until < clock_timestamp())
    AND (job.deadline_at IS NULL OR job.deadline_at > clock_timestamp())
    AND (job.max_parallel IS NULL OR held.open_leases < job.max_parallel)
    AND (
        (
            job.counts_points
            AND (job.next_point >= least(job.phase_trials, job.budget_trials - job.phase_first_number)) IS NOT TRUE
        )
        OR (
            job.counts_points
            AND job.has_next_phase
            AND (job.phase_first_number + job.next_point >= job.budget_trials) IS NOT TRUE
        )
        OR (
            NOT job.counts_points
            AND NOT EXISTS (
                SELECT FROM optuna.trials
                WHERE study_id = job.study_id
                    AND number >= CASE
                        WHEN job.has_next_phase THEN job.budget_trials
                        ELSE least(job.phase_first_number + job.phase_trials, job.budget_trials)
                    END - 1
            )
        )
        OR EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND state = 'WAITING')
    )
ORDER BY job.priority DESC, held.open_leases, job.claimed_at NULLS FIRST, job.created_at, job.id
LIMIT 1

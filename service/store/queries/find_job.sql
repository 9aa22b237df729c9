-- The job whose turn it is: by priority, then by fewest open leases, then by the longest time since its last claim.
-- The last rule gives each job its turn where there are as many jobs as workers.
-- Locks nothing: it only finds a candidate, which the claim locks and checks again.
-- A job whose current phase has given out its share is found for its next phase, while its budget has trials left for it. That one
-- is asked for by its row and not with EXISTS, for which the planner may hash the whole table.
-- Needs jobs_open_idx, phases_pkey, leases_open_job_id_idx, stride_trials_study_id_number_key, stride_trials_waiting_idx. It counts
-- nothing in optuna.trials, so its cost does not grow with a job's history.
SELECT
    job.id AS job_id,
    job.phase,
    job.budget_trials,
    phase.trials AS share,
    phase.needs_history,
    held.open_leases,
    count(*) OVER (PARTITION BY job.priority) > 1 AS has_rivals
FROM stride.jobs AS job
JOIN stride.phases AS phase ON phase.job_id = job.id AND phase.position = job.phase
CROSS JOIN LATERAL (
    SELECT count(*) AS open_leases FROM stride.leases WHERE job_id = job.id AND ended_at IS NULL
) AS held
WHERE job.state IN ('queued', 'running')
    AND job.objective = ANY(%(objectives)s::text[])
    AND (job.sampling_until IS NULL OR job.sampling_until < clock_timestamp())
    AND (job.deadline_at IS NULL OR job.deadline_at > clock_timestamp())
    AND (job.max_parallel IS NULL OR held.open_leases < job.max_parallel)
    AND (
        CASE
            WHEN phase.counts_points
            THEN (job.next_point >= least(phase.trials, job.budget_trials - phase.first_number)) IS NOT TRUE
            ELSE NOT EXISTS (
                SELECT FROM optuna.trials
                WHERE study_id = job.study_id AND number >= least(phase.first_number + phase.trials, job.budget_trials) - 1
            )
        END
        OR EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND state = 'WAITING')
        OR (
            (SELECT position FROM stride.phases WHERE job_id = job.id AND position = job.phase + 1) IS NOT NULL
            AND (
                job.budget_trials IS NULL
                OR NOT EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND number >= job.budget_trials - 1)
            )
        )
    )
ORDER BY job.priority DESC, held.open_leases, job.claimed_at NULLS FIRST, job.created_at, job.id
LIMIT 1

-- What a worker should do next: an expired lease to take over, else the job that deserves its next trial most.
-- Locks nothing: it only finds a candidate, which the claim locks and checks again.
-- Needs leases_open_expires_at_idx, jobs_open_idx, leases_open_job_id_idx, stride_trials_study_id_number_key,
-- stride_trials_waiting_idx. It counts nothing in optuna.trials, so its cost does not grow with a job's history.
(
    SELECT lease.job_id, lease.id AS lease_id, NULL AS sampler
    FROM stride.leases AS lease
    JOIN stride.jobs AS job ON job.id = lease.job_id
    WHERE lease.ended_at IS NULL
        AND lease.expires_at < clock_timestamp()
        AND job.state = 'running'
        AND job.objective = ANY(%(objectives)s::text[])
    ORDER BY lease.expires_at
    LIMIT 1
)
UNION ALL
(
    SELECT job.id, NULL, coalesce(job.spec #>> '{strategy,sampler}', job.spec #>> '{strategy,type}')
    FROM stride.jobs AS job
    CROSS JOIN LATERAL (
        SELECT count(*) AS open_leases FROM stride.leases WHERE job_id = job.id AND ended_at IS NULL
    ) AS share
    CROSS JOIN LATERAL (
        SELECT coalesce(max(number) + 1, 0) AS next_number FROM optuna.trials WHERE study_id = job.study_id
    ) AS study
    WHERE job.state IN ('queued', 'running')
        AND job.objective = ANY(%(objectives)s::text[])
        AND (job.sampling_until IS NULL OR job.sampling_until < clock_timestamp())
        AND (job.deadline_at IS NULL OR job.deadline_at > clock_timestamp())
        AND (job.max_parallel IS NULL OR share.open_leases < job.max_parallel)
        AND (
            job.trial_budget IS NULL
            OR job.trial_budget > CASE WHEN job.spec #>> '{strategy,type}' = 'grid' THEN job.next_point ELSE study.next_number END
            OR EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND state = 'WAITING')
        )
    ORDER BY job.priority DESC, share.open_leases, job.created_at, job.id
    LIMIT 1
)

-- Open jobs whose budget of trials is used up and that have no open lease: a foreign script took the last numbers, so no finish
-- has noticed that they are done.
-- Locks nothing: the sweep locks and checks again.
SELECT job.id
FROM stride.jobs AS job
WHERE job.state IN ('queued', 'running')
    AND NOT EXISTS (SELECT FROM stride.leases WHERE job_id = job.id AND ended_at IS NULL)
    AND (
        NOT job.counts_points OR job.next_point >= least(job.phase_trials, job.budget_trials - job.phase_first_number)
    )
    AND (
        (job.counts_points AND NOT job.has_next_phase)
        OR (job.counts_points AND job.phase_first_number + job.next_point >= job.budget_trials)
        OR NOT job.counts_points AND EXISTS (
            SELECT FROM optuna.trials
            WHERE study_id = job.study_id
                AND number >= CASE
                    WHEN job.has_next_phase THEN job.budget_trials
                    ELSE least(job.phase_first_number + job.phase_trials, job.budget_trials)
                END - 1
        )
    )
    AND NOT EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND state = 'WAITING')
LIMIT 100

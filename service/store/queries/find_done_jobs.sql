-- Open jobs whose budget of trials is used up and that have no open lease: a foreign script took the last numbers, so no finish
-- has noticed that they are done.
-- Locks nothing: the sweep locks and checks again.
SELECT job.id
FROM stride.jobs AS job
WHERE job.state IN ('queued', 'running')
    AND job.trial_budget IS NOT NULL
    AND NOT EXISTS (SELECT FROM stride.leases WHERE job_id = job.id AND ended_at IS NULL)
    AND CASE
        WHEN job.counts_points THEN job.next_point >= job.trial_budget
        ELSE EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND number >= job.trial_budget - 1)
    END
    AND NOT EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND state = 'WAITING')
LIMIT 100

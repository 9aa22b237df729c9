-- Open jobs whose budget of trials is used up and that have no open lease: a foreign script took the last numbers, so no finish
-- has noticed that they are done.
-- Locks nothing: the sweep locks and checks again.
-- Another phase is asked for by its row and not with EXISTS, for which the planner may hash the whole table.
SELECT job.id
FROM stride.jobs AS job
JOIN stride.phases AS phase ON phase.job_id = job.id AND phase.position = job.phase
WHERE job.state IN ('queued', 'running')
    AND NOT EXISTS (SELECT FROM stride.leases WHERE job_id = job.id AND ended_at IS NULL)
    AND CASE
        WHEN phase.counts_points THEN job.next_point >= least(phase.trials, job.budget_trials - phase.first_number)
        ELSE EXISTS (
            SELECT FROM optuna.trials
            WHERE study_id = job.study_id AND number >= least(phase.first_number + phase.trials, job.budget_trials) - 1
        )
    END
    AND (
        (SELECT position FROM stride.phases WHERE job_id = job.id AND position = job.phase + 1) IS NULL
        OR EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND number >= job.budget_trials - 1)
    )
    AND NOT EXISTS (SELECT FROM optuna.trials WHERE study_id = job.study_id AND state = 'WAITING')
LIMIT 100

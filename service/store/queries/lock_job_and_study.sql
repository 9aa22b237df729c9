-- As lock_job, for whoever is about to insert a trial.
-- Locks the job's row, then the row of its study in Optuna's table, both FOR NO KEY UPDATE. Stock Optuna locks the study's row
-- FOR UPDATE before it numbers a trial, so its numbers and ours never collide.
SELECT
    job.state, job.reason, job.phase, job.phase_trials, job.has_next_phase, job.next_point,
    job.failures_in_a_row, job.deadline_at, job.started_at, job.finished_at,
    job.budget_trials, job.budget_seconds, job.budget_target, job.budget_failures,
    coalesce(job.deadline_at - make_interval(secs => job.later_seconds) <= clock_timestamp(), false) AS is_late
FROM stride.jobs AS job, optuna.studies AS study
WHERE job.id = %(job_id)s AND study.study_id = %(study_id)s
FOR NO KEY UPDATE OF job, study

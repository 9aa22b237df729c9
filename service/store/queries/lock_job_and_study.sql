-- One job and its study, for whoever is about to insert a trial.
-- Locks the job's row, then the row of the study in Optuna's table, both FOR NO KEY UPDATE. Stock Optuna locks the study's row
-- FOR UPDATE before it numbers a trial, so its numbers and ours never collide.
SELECT job.*, study.study_name, lower(direction.direction::text) AS direction
FROM stride.jobs AS job
JOIN optuna.studies AS study USING (study_id)
JOIN optuna.study_directions AS direction USING (study_id)
WHERE job.id = %(job_id)s
FOR NO KEY UPDATE OF job, study

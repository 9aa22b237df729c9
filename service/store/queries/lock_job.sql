-- One job with what is derived from its study.
-- Locks the job's row, FOR NO KEY UPDATE, against every other transaction that changes it; first in the order of locks.
-- Not twice: whoever comes second waits here and then sees what the first one wrote.
SELECT job.*, study.study_name, lower(direction.direction::text) AS direction
FROM stride.jobs AS job
JOIN optuna.studies AS study USING (study_id)
JOIN optuna.study_directions AS direction USING (study_id)
WHERE job.id = %(job_id)s
FOR NO KEY UPDATE OF job

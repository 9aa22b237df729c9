-- Deletes the checkpoints of trials that have ended, except the model of each job's best one, and of the best one of each candidate
-- that was trained again.
-- Reads jobs that are open or ended lately only, so that the cost of frequent runs does not grow with what is kept of older ones.
-- Of equal values the smallest number is the best, as in the API.
WITH candidate AS (
    SELECT kept.id, kept.kind, kept.job_id, trial.number, trial.state::text AS state, result.value,
        CASE direction.direction WHEN 'MAXIMIZE' THEN -result.value ELSE result.value END AS loss,
        phase.value_json AS phase, confirmed.value_json AS confirmed
    FROM stride.jobs AS job
    JOIN stride.checkpoints AS kept ON kept.job_id = job.id
    JOIN optuna.trials AS trial USING (trial_id)
    JOIN optuna.study_directions AS direction ON direction.study_id = job.study_id
    LEFT JOIN optuna.trial_values AS result ON result.trial_id = kept.trial_id AND result.objective = 0
    LEFT JOIN optuna.trial_system_attributes AS phase ON phase.trial_id = kept.trial_id AND phase.key = 'stride:phase'
    LEFT JOIN optuna.trial_system_attributes AS confirmed
        ON confirmed.trial_id = kept.trial_id AND confirmed.key = 'stride:candidate'
    WHERE job.finished_at IS NULL OR job.finished_at > now() - make_interval(secs => %(ended_within_s)s)
), model AS (
    SELECT * FROM candidate WHERE kind = 'model' AND state = 'COMPLETE' AND value IS NOT NULL
), best AS (
    SELECT DISTINCT ON (job_id) id
    FROM model
    ORDER BY job_id, loss, number, id DESC
), best_of_candidate AS (
    SELECT DISTINCT ON (job_id, phase, confirmed) id
    FROM model
    WHERE confirmed IS NOT NULL
    ORDER BY job_id, phase, confirmed, loss, number, id DESC
)
DELETE FROM stride.checkpoints
WHERE id IN (
    SELECT id
    FROM stride.checkpoints
    WHERE id IN (
        SELECT id FROM candidate WHERE state <> 'RUNNING' EXCEPT (SELECT id FROM best UNION SELECT id FROM best_of_candidate)
    )
    FOR UPDATE SKIP LOCKED -- those of a job that is being deleted
)
RETURNING path

-- A job's study and all that Optuna keeps of it. The caller has deleted the job, which alone refers to the study,
-- and holds the locks on the study and its trials, taken by earlier statements, so that nothing is added meanwhile.
WITH trial AS (
    SELECT trial_id FROM optuna.trials WHERE study_id = %(study_id)s
), params AS (
    DELETE FROM optuna.trial_params WHERE trial_id IN (SELECT trial_id FROM trial)
), results AS (
    DELETE FROM optuna.trial_values WHERE trial_id IN (SELECT trial_id FROM trial)
), curves AS (
    DELETE FROM optuna.trial_intermediate_values WHERE trial_id IN (SELECT trial_id FROM trial)
), user_attributes AS (
    DELETE FROM optuna.trial_user_attributes WHERE trial_id IN (SELECT trial_id FROM trial)
), system_attributes AS (
    DELETE FROM optuna.trial_system_attributes WHERE trial_id IN (SELECT trial_id FROM trial)
), heartbeats AS (
    DELETE FROM optuna.trial_heartbeats WHERE trial_id IN (SELECT trial_id FROM trial)
), measured AS (
    DELETE FROM stride.measurements WHERE trial_id IN (SELECT trial_id FROM trial)
), trials AS (
    DELETE FROM optuna.trials WHERE study_id = %(study_id)s
), directions AS (
    DELETE FROM optuna.study_directions WHERE study_id = %(study_id)s
), study_user_attributes AS (
    DELETE FROM optuna.study_user_attributes WHERE study_id = %(study_id)s
), study_system_attributes AS (
    DELETE FROM optuna.study_system_attributes WHERE study_id = %(study_id)s
)
DELETE FROM optuna.studies WHERE study_id = %(study_id)s

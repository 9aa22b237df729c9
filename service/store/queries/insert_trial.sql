-- A trial with all its params and attributes, as Optuna would have written it in five to eight steps.
-- The caller holds the locks on job and study and has taken the number under them; the unique index on (study_id, number) is
-- the second guard against writing it twice. The order of the params is part of what Optuna stores.
WITH trial AS (
    INSERT INTO optuna.trials (study_id, number, state, datetime_start)
    VALUES (
        %(study_id)s,
        %(number)s,
        %(state)s::text::optuna.trialstate,
        CASE WHEN %(state)s::text = 'RUNNING' THEN clock_timestamp() AT TIME ZONE 'UTC' END
    )
    RETURNING trial_id
), params AS (
    INSERT INTO optuna.trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT trial.trial_id, param.name, param.value, param.distribution
    FROM trial, unnest(%(names)s::text[], %(values)s::float8[], %(distributions)s::text[])
        WITH ORDINALITY AS param (name, value, distribution, position)
    ORDER BY param.position
), user_attributes AS (
    INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)
    SELECT trial.trial_id, attribute.key, attribute.value
    FROM trial, unnest(%(user_keys)s::text[], %(user_values)s::text[]) AS attribute (key, value)
), system_attributes AS (
    INSERT INTO optuna.trial_system_attributes (trial_id, key, value_json)
    SELECT trial.trial_id, attribute.key, attribute.value
    FROM trial, unnest(%(system_keys)s::text[], %(system_values)s::text[]) AS attribute (key, value)
)
SELECT trial_id FROM trial

-- Makes an enqueued trial a running one, with the params to train it with.
-- Locks the trial's row; the caller holds those of job and study. Zero rows: another worker has started it.
WITH trial AS (
    UPDATE optuna.trials
    SET state = 'RUNNING', datetime_start = clock_timestamp() AT TIME ZONE 'UTC'
    WHERE trial_id = %(trial_id)s AND state = 'WAITING'
    RETURNING trial_id, number
), params AS (
    INSERT INTO optuna.trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT trial.trial_id, param.name, param.value, param.distribution
    FROM trial, unnest(%(names)s::text[], %(values)s::float8[], %(distributions)s::text[])
        WITH ORDINALITY AS param (name, value, distribution, position)
    ORDER BY param.position
    ON CONFLICT (trial_id, param_name) DO NOTHING
), user_attributes AS (
    INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)
    SELECT trial.trial_id, attribute.key, attribute.value
    FROM trial, unnest(%(user_keys)s::text[], %(user_values)s::text[]) AS attribute (key, value)
    ON CONFLICT (trial_id, key) DO UPDATE SET value_json = EXCLUDED.value_json
), system_attributes AS (
    INSERT INTO optuna.trial_system_attributes (trial_id, key, value_json)
    SELECT trial.trial_id, attribute.key, attribute.value
    FROM trial, unnest(%(system_keys)s::text[], %(system_values)s::text[]) AS attribute (key, value)
    ON CONFLICT (trial_id, key) DO UPDATE SET value_json = EXCLUDED.value_json
)
SELECT number FROM trial

-- The result of a trial.
-- Locks the trial's row; the caller holds those of the job and of the trial's lease. Zero rows: the trial is no longer running, and
-- nothing was written.
WITH trial AS (
    UPDATE optuna.trials
    SET state = %(state)s::text::optuna.trialstate, datetime_complete = clock_timestamp() AT TIME ZONE 'UTC'
    WHERE trial_id = %(trial_id)s AND state = 'RUNNING'
    RETURNING trial_id
), result AS (
    INSERT INTO optuna.trial_values (trial_id, objective, value, value_type)
    SELECT
        trial_id,
        0,
        nullif(nullif(%(value)s::float8, 'inf'), '-inf'),
        CASE %(value)s::float8 WHEN 'inf' THEN 'INF_POS' WHEN '-inf' THEN 'INF_NEG' ELSE 'FINITE' END::optuna.trialvaluetype
    FROM trial
    WHERE %(value)s::float8 IS NOT NULL
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
SELECT trial_id FROM trial

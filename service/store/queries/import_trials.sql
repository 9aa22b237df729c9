-- Trials that were trained elsewhere, with all their params and attributes, as they ended.
-- Locks nothing: the caller has inserted the study in the same transaction. The unique index on (study_id, number) is the guard
-- against writing one twice. Ids are drawn in the order of the numbers, since whoever reads the trials goes by id.
WITH item AS (
    SELECT * FROM unnest(%(numbers)s::integer[], %(states)s::text[], %(values)s::float8[]) AS item (number, state, value)
), trial AS (
    INSERT INTO optuna.trials (study_id, number, state, datetime_start, datetime_complete)
    SELECT
        %(study_id)s,
        number,
        state::optuna.trialstate,
        clock_timestamp() AT TIME ZONE 'UTC',
        clock_timestamp() AT TIME ZONE 'UTC'
    FROM item ORDER BY number
    RETURNING trial_id, number
), result AS (
    INSERT INTO optuna.trial_values (trial_id, objective, value, value_type)
    SELECT
        trial_id,
        0,
        nullif(nullif(value, 'inf'), '-inf'),
        CASE value WHEN 'inf' THEN 'INF_POS' WHEN '-inf' THEN 'INF_NEG' ELSE 'FINITE' END::optuna.trialvaluetype
    FROM trial JOIN item USING (number)
    WHERE value IS NOT NULL
), params AS (
    INSERT INTO optuna.trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT trial.trial_id, param.name, param.value, param.distribution
    FROM unnest(%(param_numbers)s::integer[], %(names)s::text[], %(param_values)s::float8[], %(distributions)s::text[])
        WITH ORDINALITY AS param (number, name, value, distribution, position)
    JOIN trial USING (number)
    ORDER BY param.position
), user_attributes AS (
    INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)
    SELECT trial.trial_id, attribute.key, attribute.value
    FROM unnest(%(user_numbers)s::integer[], %(user_keys)s::text[], %(user_values)s::text[])
        WITH ORDINALITY AS attribute (number, key, value, position)
    JOIN trial USING (number)
    ORDER BY attribute.position
), system_attributes AS (
    INSERT INTO optuna.trial_system_attributes (trial_id, key, value_json)
    SELECT trial.trial_id, attribute.key, attribute.value
    FROM unnest(%(system_numbers)s::integer[], %(system_keys)s::text[], %(system_values)s::text[])
        WITH ORDINALITY AS attribute (number, key, value, position)
    JOIN trial USING (number)
    ORDER BY attribute.position
)
SELECT number, trial_id FROM trial

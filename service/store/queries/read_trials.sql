-- Trials of a study: those after the last one known, and those that were unfinished when they were last read.
-- Locks nothing. Safe as a cursor because ids are drawn under the lock on the study, by stock Optuna and by us.
SELECT
    trial.trial_id,
    trial.number,
    trial.state::text,
    trial.datetime_start,
    trial.datetime_complete,
    (
        SELECT CASE value_type WHEN 'INF_POS' THEN 'inf' WHEN 'INF_NEG' THEN '-inf' ELSE value END
        FROM optuna.trial_values WHERE trial_id = trial.trial_id AND objective = 0
    ) AS value,
    (
        SELECT json_agg(json_build_array(param_name, param_value, distribution_json) ORDER BY param_id)
        FROM optuna.trial_params WHERE trial_id = trial.trial_id
    ) AS params,
    (
        SELECT json_agg(json_build_array(key, value_json) ORDER BY trial_user_attribute_id)
        FROM optuna.trial_user_attributes WHERE trial_id = trial.trial_id
    ) AS user_attrs,
    (
        SELECT json_agg(json_build_array(key, value_json) ORDER BY trial_system_attribute_id)
        FROM optuna.trial_system_attributes WHERE trial_id = trial.trial_id
    ) AS system_attrs,
    CASE WHEN %(with_curves)s THEN (
        SELECT json_agg(json_build_array(
            curve.step, curve.intermediate_value_type::text, curve.intermediate_value, measured.fraction, measured.in_warmup
        ) ORDER BY curve.step)
        FROM optuna.trial_intermediate_values AS curve
        LEFT JOIN stride.measurements AS measured USING (trial_id, step)
        WHERE curve.trial_id = trial.trial_id
    ) END AS curve,
    EXISTS (SELECT FROM stride.leases WHERE trial_id = trial.trial_id) AS leased
FROM optuna.trials AS trial
WHERE trial.study_id = %(study_id)s
    AND (trial.trial_id > %(after)s OR trial.trial_id = ANY(%(again)s::integer[]))
    AND trial.trial_id > %(page_after)s
ORDER BY trial.trial_id
LIMIT %(page)s

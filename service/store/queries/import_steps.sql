-- What was measured of trials that were trained elsewhere: as a report of a worker stores it.
-- Locks nothing: the caller has inserted the trials in the same transaction.
WITH item AS (
    SELECT * FROM unnest(
        %(trial_ids)s::integer[], %(steps)s::integer[], %(fractions)s::float8[], %(in_warmup)s::boolean[], %(metrics)s::jsonb[],
        %(learning_rates)s::float8[], %(seconds)s::float8[], %(values)s::float8[]
    ) AS item (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds, value)
), measured AS (
    INSERT INTO stride.measurements (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds)
    SELECT trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds FROM item
)
INSERT INTO optuna.trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
SELECT
    trial_id,
    step,
    CASE WHEN value IN ('nan', 'inf', '-inf') THEN NULL ELSE value END,
    CASE value WHEN 'nan' THEN 'NAN' WHEN 'inf' THEN 'INF_POS' WHEN '-inf' THEN 'INF_NEG' ELSE 'FINITE' END
        ::optuna.trialintermediatevaluetype
FROM item

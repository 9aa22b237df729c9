-- A report: renew the lease, store what was measured, and learn whether to continue. One statement, so that nothing is stored
-- without the lease.
-- Locks the lease only; the job's state is read without a lock. Matches id and token: zero rows mean that the lease has ended,
-- and nothing is written. Running it twice stores the same again.
WITH lease AS (
    UPDATE stride.leases AS held
    SET expires_at = stride.renewed_expiry(held, job, %(lease_s)s),
        last_step = greatest(held.last_step, (SELECT max(step) FROM unnest(%(steps)s::integer[]) AS step)),
        log_tail = coalesce(%(log_tail)s, held.log_tail)
    FROM stride.jobs AS job
    WHERE held.id = %(lease_id)s AND held.token = %(token)s AND held.ended_at IS NULL AND job.id = held.job_id
    RETURNING held.trial_id, held.released_at, job.state
), measured AS (
    INSERT INTO stride.measurements (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds, details)
    SELECT lease.trial_id, item.*
    FROM lease, unnest(
        %(steps)s::integer[], %(fractions)s::float8[], %(in_warmup)s::boolean[], %(metrics)s::jsonb[],
        %(learning_rates)s::float8[], %(seconds)s::float8[], %(details)s::jsonb[]
    ) AS item
    ON CONFLICT (trial_id, step) DO UPDATE
    SET fraction = EXCLUDED.fraction, in_warmup = EXCLUDED.in_warmup, metrics = EXCLUDED.metrics,
        learning_rate = EXCLUDED.learning_rate, seconds = EXCLUDED.seconds, details = EXCLUDED.details
), curve AS (
    INSERT INTO optuna.trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
    SELECT
        lease.trial_id,
        item.step,
        CASE WHEN item.value IN ('nan', 'inf', '-inf') THEN NULL ELSE item.value END,
        CASE item.value WHEN 'nan' THEN 'NAN' WHEN 'inf' THEN 'INF_POS' WHEN '-inf' THEN 'INF_NEG' ELSE 'FINITE' END
            ::optuna.trialintermediatevaluetype
    FROM lease, unnest(%(steps)s::integer[], %(values)s::float8[]) AS item (step, value)
    ON CONFLICT (trial_id, step) DO UPDATE
    SET intermediate_value = EXCLUDED.intermediate_value, intermediate_value_type = EXCLUDED.intermediate_value_type
)
SELECT state, released_at IS NOT NULL AS released FROM lease

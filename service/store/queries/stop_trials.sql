-- The trials of a job that becomes final, ended from what is stored: PRUNED with the last value where something was measured,
-- else FAIL; enqueued ones FAIL. Their leases end, which is how their workers learn of it.
-- Locks its unfinished trials; the caller holds the locks on the job and on its open leases, taken by an earlier statement, so
-- that the last report is seen.
-- Running trials without a lease belong to foreign scripts and are not changed.
WITH lease AS (
    UPDATE stride.leases
    SET ended_at = clock_timestamp(), outcome = 'stopped', reason = %(stopped_by)s
    WHERE job_id = %(job_id)s AND ended_at IS NULL
    RETURNING trial_id
), last AS (
    SELECT DISTINCT ON (trial_id) trial_id, intermediate_value, intermediate_value_type::text AS kind
    FROM optuna.trial_intermediate_values
    WHERE trial_id IN (SELECT trial_id FROM lease)
    ORDER BY trial_id, step DESC
), trial AS (
    UPDATE optuna.trials AS unfinished
    SET datetime_complete = clock_timestamp() AT TIME ZONE 'UTC',
        state = CASE
            WHEN EXISTS (SELECT FROM last WHERE trial_id = unfinished.trial_id) THEN 'PRUNED' ELSE 'FAIL'
        END::optuna.trialstate
    WHERE state IN ('RUNNING', 'WAITING')
        AND unfinished.trial_id = ANY(ARRAY(
            SELECT trial_id FROM lease
            UNION ALL
            SELECT trial_id FROM optuna.trials WHERE study_id = %(study_id)s AND state = 'WAITING'
        ))
    RETURNING trial_id
), result AS (
    INSERT INTO optuna.trial_values (trial_id, objective, value, value_type)
    SELECT trial.trial_id, 0, last.intermediate_value, last.kind::optuna.trialvaluetype
    FROM trial JOIN last USING (trial_id)
    WHERE last.kind <> 'NAN'
)
INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)
SELECT trial_id, 'stopped_by', to_json(%(stopped_by)s::text)::text FROM trial
ON CONFLICT (trial_id, key) DO UPDATE SET value_json = EXCLUDED.value_json

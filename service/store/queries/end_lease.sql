-- The end of a lease, by its holder.
-- Locks the lease; the caller holds the lock on the job. Matches id and token: zero rows mean that the lease had ended.
-- What else the finish must know is read here too, under the lock on the job.
UPDATE stride.leases AS lease
SET ended_at = clock_timestamp(), outcome = %(outcome)s, reason = %(reason)s, log_tail = coalesce(%(log_tail)s, log_tail)
WHERE id = %(lease_id)s AND token = %(token)s AND ended_at IS NULL
RETURNING
    (SELECT count(*) FROM stride.leases AS other WHERE other.job_id = lease.job_id AND ended_at IS NULL AND id <> lease.id)
        AS open_leases,
    coalesce(
        (SELECT number + 1 FROM optuna.trials WHERE study_id = %(study_id)s ORDER BY number DESC LIMIT 1), 0
    ) AS next_number,
    (
        SELECT trial_id FROM optuna.trials
        WHERE study_id = %(study_id)s AND state = 'WAITING' ORDER BY number LIMIT 1
    ) AS waiting_trial_id

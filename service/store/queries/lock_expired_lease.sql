-- An expired lease about to be taken over.
-- Locks the lease, skipping it when somebody else holds it (its worker reporting, or another takeover); the caller holds the
-- lock on the job. The predicate is checked again, since the lease was found without a lock: a renewal in between keeps it.
SELECT lease.id, lease.trial_id, trial.number, lease.attempt, lease.released_at, worker.name AS worker,
    lease.expires_at < pg_postmaster_start_time() AS outage
FROM stride.leases AS lease
JOIN optuna.trials AS trial USING (trial_id)
LEFT JOIN stride.workers AS worker ON worker.id = lease.worker_id
WHERE lease.id = %(lease_id)s AND lease.ended_at IS NULL AND lease.expires_at < clock_timestamp()
FOR NO KEY UPDATE OF lease SKIP LOCKED

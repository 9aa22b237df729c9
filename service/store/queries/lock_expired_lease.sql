-- An expired lease about to be taken over.
-- Locks the lease, skipping it when somebody else holds it (its worker reporting, or another takeover); the caller holds the
-- lock on the job. The predicate is checked again, since the lease was found without a lock: a renewal in between keeps it.
SELECT lease.id, lease.trial_id, trial.number, lease.attempt, lease.released_at, worker.name AS worker,
    stride.expired_in_outage(lease) AS outage
FROM stride.leases AS lease
JOIN optuna.trials AS trial USING (trial_id)
LEFT JOIN stride.workers AS worker ON worker.id = lease.worker_id
WHERE lease.id = %(lease_id)s AND stride.is_expired(lease)
FOR NO KEY UPDATE OF lease SKIP LOCKED

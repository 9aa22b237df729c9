-- Leases that expired long ago, of trials for which this may have been the last attempt, and that no worker has taken over.
-- Locks nothing: the sweep locks and checks again. Needs leases_open_expires_at_idx.
SELECT lease.id AS lease_id, lease.job_id
FROM stride.leases AS lease
JOIN stride.jobs AS job ON job.id = lease.job_id
WHERE stride.may_be_taken_over(lease, job, %(patience_s)s, for_s => %(expired_for_s)s)
    AND lease.released_at IS NULL
    AND lease.attempt >= job.max_attempts
ORDER BY lease.expires_at
LIMIT 100

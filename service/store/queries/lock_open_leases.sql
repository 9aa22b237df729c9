-- The open leases of a job that becomes final, before their trials are ended from what is stored. A statement of its own, since
-- one that had to wait for a report would still read the measurements in the snapshot from before the wait.
-- Locks the leases, FOR NO KEY UPDATE; the caller holds the lock on the job.
SELECT id FROM stride.leases WHERE job_id = %(job_id)s AND ended_at IS NULL FOR NO KEY UPDATE

-- A trial that a worker may take over: of the objectives, and their versions, that it offers, the one whose lease expired first.
-- A worker may be for one job only.
-- Locks nothing: it only finds a candidate, which the takeover locks and checks again. Needs leases_open_expires_at_idx.
SELECT lease.id AS lease_id, lease.job_id
FROM stride.leases AS lease
JOIN stride.jobs AS job ON job.id = lease.job_id
WHERE stride.may_be_taken_over(lease, job, %(patience_s)s)
    AND job.objective = ANY(%(objectives)s::text[])
    AND (job.objective_sha256 IS NULL OR job.objective_sha256 = ANY(%(sha256s)s::bytea[]))
    AND (%(only)s::uuid IS NULL OR job.id = %(only)s)
ORDER BY lease.expires_at
LIMIT 1

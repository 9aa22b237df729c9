-- A trial that a worker could take over: of those it offers, the one whose lease has been expired for longest.
-- After a start of the server holders that have not been heard of since are given some time to come back; what was given back is
-- free at once.
-- Locks nothing: it only finds a candidate, which the takeover locks and checks again. Needs leases_open_expires_at_idx.
SELECT lease.id AS lease_id, lease.job_id
FROM stride.leases AS lease
JOIN stride.jobs AS job ON job.id = lease.job_id
WHERE lease.ended_at IS NULL
    AND lease.expires_at < clock_timestamp()
    AND job.state = 'running'
    AND job.objective = ANY(%(objectives)s::text[])
    AND (
        lease.released_at IS NOT NULL
        OR lease.started_at > pg_postmaster_start_time()
        OR lease.expires_at > pg_postmaster_start_time() + make_interval(secs => %(lease_s)s)
        OR pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %(patience_s)s)
    )
ORDER BY lease.expires_at
LIMIT 1

-- Leases that ran out long ago on a trial with so many attempts that this may have been its last: no worker is there to see it.
-- After a start of the server holders that have not been heard of since are given some time to come back.
-- Locks nothing: the sweep locks and checks again. Needs leases_open_expires_at_idx.
SELECT lease.id AS lease_id, lease.job_id
FROM stride.leases AS lease
JOIN stride.jobs AS job ON job.id = lease.job_id
WHERE lease.ended_at IS NULL
    AND lease.released_at IS NULL
    AND lease.expires_at < clock_timestamp() - make_interval(secs => %(silence_s)s)
    AND job.state = 'running'
    AND lease.attempt >= job.max_attempts
    AND (
        lease.started_at > pg_postmaster_start_time()
        OR pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %(patience_s)s)
    )
ORDER BY lease.expires_at
LIMIT 100

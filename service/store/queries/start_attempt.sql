-- The start of an attempt: its lease, the job, which is running from now on, and the events.
-- Locks the job's row, which the caller holds already. Not twice: one open lease a trial, by leases_open_trial_id_key, and one
-- lease a token.
WITH lease AS (
    INSERT INTO stride.leases (token, job_id, trial_id, attempt, worker_id, expires_at)
    SELECT %(token)s, job.id, %(trial_id)s, %(attempt)s, %(worker_id)s, stride.lease_expiry(job, %(lease_s)s)
    FROM stride.jobs AS job
    WHERE job.id = %(job_id)s
    RETURNING id
), job AS (
    UPDATE stride.jobs
    SET state = 'running',
        next_point = %(next_point)s,
        sampling_until = NULL,
        started_at = coalesce(started_at, clock_timestamp()),
        claimed_at = clock_timestamp(),
        -- The clock of budget.seconds starts with the first claim.
        deadline_at = coalesce(deadline_at, clock_timestamp() + make_interval(secs => seconds_left)),
        event_seq = event_seq + cardinality(%(types)s::text[])
    WHERE id = %(job_id)s
    RETURNING id, event_seq
), event AS (
    INSERT INTO stride.events (job_id, seq, type, payload)
    SELECT job.id, job.event_seq - cardinality(%(types)s::text[]) + item.position, item.type, item.payload
    FROM job, unnest(%(types)s::text[], %(payloads)s::jsonb[]) WITH ORDINALITY AS item (type, payload, position)
)
SELECT id FROM lease

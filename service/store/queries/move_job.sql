-- A change of a job, and its events, numbered in commit order.
-- Locks the job's row, which the caller holds already.
WITH job AS (
    UPDATE stride.jobs
    SET state = %(state)s::text,
        reason = %(reason)s,
        failures_in_a_row = %(failures_in_a_row)s,
        sampling_until = NULL,
        -- The clock of budget.seconds runs while the job does.
        deadline_at = CASE
            WHEN %(state)s::text <> 'running' THEN NULL
            WHEN state = 'running' THEN deadline_at
            ELSE clock_timestamp() + make_interval(secs => seconds_left)
        END,
        seconds_left = CASE
            WHEN %(state)s::text = state OR deadline_at IS NULL THEN seconds_left
            ELSE greatest(extract(epoch FROM deadline_at - clock_timestamp()), 0)
        END,
        started_at = CASE WHEN %(state)s::text = 'running' THEN coalesce(started_at, clock_timestamp()) ELSE started_at END,
        finished_at = CASE WHEN %(state)s::text IN ('completed', 'failed', 'cancelled') THEN clock_timestamp() END,
        event_seq = event_seq + cardinality(%(types)s::text[])
    WHERE id = %(job_id)s
    RETURNING id, event_seq
)
INSERT INTO stride.events (job_id, seq, type, payload)
SELECT job.id, job.event_seq - cardinality(%(types)s::text[]) + item.position, item.type, item.payload
FROM job, unnest(%(types)s::text[], %(payloads)s::jsonb[]) WITH ORDINALITY AS item (type, payload, position)

-- Stores a checkpoint, and deletes all others of its trial but the one before it, the fallback if this one turns out to be damaged.
-- Locks nothing of its own; the caller holds the lease. Running it twice stores the same again.
WITH saved AS (
    INSERT INTO stride.checkpoints (job_id, trial_id, lease_id, kind, step, size, sha256, content, path)
    VALUES (
        %(job_id)s, %(trial_id)s, %(lease_id)s, %(kind)s, %(step)s, %(size)s, %(sha256)s, %(content)s, %(path)s
    )
    ON CONFLICT (lease_id, kind, step) DO UPDATE
    SET size = EXCLUDED.size, sha256 = EXCLUDED.sha256, content = EXCLUDED.content, path = EXCLUDED.path
), before AS (
    SELECT id, row_number() OVER (ORDER BY id DESC) AS age
    FROM stride.checkpoints
    WHERE trial_id = %(trial_id)s AND kind = %(kind)s AND NOT (lease_id = %(lease_id)s AND step = %(step)s)
)
DELETE FROM stride.checkpoints WHERE id IN (SELECT id FROM before WHERE age > 1) RETURNING path

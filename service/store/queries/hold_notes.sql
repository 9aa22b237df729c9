-- Takes the next job whose notes are out of date, if there is one: the job has notes of an earlier state; or it runs, and its notes
-- are older than `every_s`. Nobody else takes it for `hold_s`.
-- Locks the job's row FOR KEY SHARE, as the check of the foreign key does, and never waits for it; then the row of its notes. Where
-- two take the same job, the second finds it held. To run it twice takes another job, or none.
WITH job AS (
    SELECT job.id
    FROM stride.jobs AS job LEFT JOIN stride.notes AS note ON note.job_id = job.id
    WHERE job.state <> 'queued'
        AND coalesce(note.held_until, '-infinity') <= clock_timestamp()
        AND (
            note.state IS DISTINCT FROM job.state
            OR job.state = 'running' AND note.written_at <= clock_timestamp() - make_interval(secs => %(every_s)s)
        )
    -- Jobs that ended before there were notes come last.
    ORDER BY note.job_id IS NULL AND job.finished_at IS NOT NULL, note.written_at NULLS FIRST, job.created_at DESC
    LIMIT 1
    FOR KEY SHARE OF job SKIP LOCKED
)
INSERT INTO stride.notes AS note (job_id, held_until)
SELECT id, clock_timestamp() + make_interval(secs => %(hold_s)s) FROM job
ON CONFLICT (job_id) DO UPDATE SET held_until = EXCLUDED.held_until WHERE note.held_until <= clock_timestamp()
RETURNING job_id, state, ended

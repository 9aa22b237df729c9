-- The right to write a trial, for whoever knows the token.
-- The caller holds the locks on the job and, after a takeover, on the lease before. Not twice: one open lease a trial, by
-- leases_open_trial_id_key, and one lease a token.
INSERT INTO stride.leases (token, job_id, trial_id, attempt, worker_id, expires_at)
VALUES (
    %(token)s, %(job_id)s, %(trial_id)s, %(attempt)s, %(worker_id)s,
    clock_timestamp() + make_interval(secs => %(lease_s)s)
)
RETURNING id

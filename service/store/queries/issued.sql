-- What of a job has been given out, and what there is to give out, under the locks on job and study. A statement of its own, since
-- one that had to wait for a lock still reads the snapshot from before the wait.
-- Locks nothing. Needs stride_trials_study_id_number_key, stride_trials_waiting_idx, leases_open_job_id_idx.
SELECT
    coalesce(
        (SELECT number + 1 FROM optuna.trials WHERE study_id = %(study_id)s ORDER BY number DESC LIMIT 1), 0
    ) AS next_number,
    (SELECT count(*) FROM stride.leases WHERE job_id = %(job_id)s AND ended_at IS NULL) AS open_leases,
    (
        SELECT trial_id FROM optuna.trials
        WHERE study_id = %(study_id)s AND state = 'WAITING' ORDER BY number LIMIT 1
    ) AS waiting_trial_id

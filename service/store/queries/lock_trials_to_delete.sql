-- The trials of a study that is about to be deleted. A statement of its own, since the lock on the study may have been waited for.
-- Locks them FOR UPDATE, against the references that foreign scripts add with every attribute and value they write.
SELECT trial_id FROM optuna.trials WHERE study_id = %(study_id)s ORDER BY trial_id FOR UPDATE

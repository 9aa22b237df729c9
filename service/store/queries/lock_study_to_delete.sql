-- A study that is about to be deleted.
-- Locks its row FOR UPDATE, as stock Optuna does before it numbers a trial: from here on nobody adds one. The caller holds the
-- lock on the job.
SELECT study_id FROM optuna.studies WHERE study_id = %(study_id)s FOR UPDATE

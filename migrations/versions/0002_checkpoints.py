"""Checkpoints; what an attempt went on from, and whether its end counts; workers that are lost or set aside.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE stride.checkpoints (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            job_id uuid NOT NULL REFERENCES stride.jobs (id) ON DELETE CASCADE,
            trial_id integer NOT NULL,
            lease_id bigint NOT NULL REFERENCES stride.leases (id) ON DELETE CASCADE,
            kind text NOT NULL,
            step integer NOT NULL,
            size bigint NOT NULL,
            sha256 bytea NOT NULL,
            content bytea,
            path text,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT checkpoints_lease_id_kind_step_key UNIQUE (lease_id, kind, step),
            CONSTRAINT checkpoints_kind_check CHECK (kind IN ('state', 'model')),
            CONSTRAINT checkpoints_place_check CHECK ((content IS NULL) <> (path IS NULL))
        );
        COMMENT ON COLUMN stride.checkpoints.trial_id IS 'optuna.trials';
        COMMENT ON COLUMN stride.checkpoints.kind IS 'state: to go on from; model: of a finished trial, to be served';
        COMMENT ON COLUMN stride.checkpoints.step IS 'the last step that is in it';
        COMMENT ON COLUMN stride.checkpoints.path IS 'relative to STRIDE_CHECKPOINT_DIR';
        -- Weights do not compress.
        ALTER TABLE stride.checkpoints ALTER COLUMN content SET STORAGE EXTERNAL;
        CREATE INDEX checkpoints_job_id_idx ON stride.checkpoints (job_id);
        CREATE INDEX checkpoints_trial_id_idx ON stride.checkpoints (trial_id);

        ALTER TABLE stride.leases
            ADD COLUMN from_step integer,
            ADD COLUMN excused boolean NOT NULL DEFAULT false;
        COMMENT ON COLUMN stride.leases.from_step IS 'step of the checkpoint that the attempt went on from';
        COMMENT ON COLUMN stride.leases.excused IS 'vanished while the database could not be reached: no fault of the trial';

        ALTER TABLE stride.workers
            ADD COLUMN set_aside jsonb NOT NULL DEFAULT '{}',
            ADD COLUMN lost_at timestamptz;
        COMMENT ON COLUMN stride.workers.set_aside IS 'objectives that it cannot train now, and why';
        COMMENT ON COLUMN stride.workers.lost_at IS 'when its silence was noticed';

        ALTER TABLE stride.jobs ADD COLUMN claimed_at timestamptz;
        COMMENT ON COLUMN stride.jobs.claimed_at IS 'the latest claim: whose is oldest is next among equals';
        CREATE INDEX jobs_finished_at_idx ON stride.jobs (finished_at);
        """
    )


def downgrade() -> None:
    op.execute(
        """
        DROP INDEX stride.jobs_finished_at_idx;
        ALTER TABLE stride.jobs DROP COLUMN claimed_at;
        ALTER TABLE stride.workers DROP COLUMN set_aside, DROP COLUMN lost_at;
        ALTER TABLE stride.leases DROP COLUMN from_step, DROP COLUMN excused;
        DROP TABLE stride.checkpoints;
        """
    )

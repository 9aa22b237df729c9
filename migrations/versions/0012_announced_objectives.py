"""Workers announce the objectives that are not built in, and say which version of each they offer; a job keeps its objective's.

Jobs from before have none: any worker that offers their objective by name may train them, as it was.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        """
        -- At once: with a weaker lock first, it could wait for a claim that waits for it.
        LOCK TABLE stride.jobs IN ACCESS EXCLUSIVE MODE;
        CREATE TABLE stride.objectives (
            name text NOT NULL,
            sha256 bytea NOT NULL,
            declaration json NOT NULL,
            declaration_sha256 bytea NOT NULL,
            announced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            announced_by uuid NOT NULL,
            PRIMARY KEY (name, sha256)
        );
        COMMENT ON COLUMN stride.objectives.sha256 IS 'of declaration and source';
        COMMENT ON COLUMN stride.objectives.announced_at IS 'the last time';
        COMMENT ON COLUMN stride.objectives.announced_by IS 'the worker that did so; retention may have deleted it';
        ALTER TABLE stride.workers ADD COLUMN objective_sha256s jsonb NOT NULL DEFAULT '{}';
        COMMENT ON COLUMN stride.workers.objective_sha256s IS
            'by name, in hexadecimal digits, of those that are not built in';
        ALTER TABLE stride.jobs ADD COLUMN objective_sha256 bytea;
        COMMENT ON COLUMN stride.jobs.objective_sha256 IS 'of the version of its objective; null: any';
        """
    )


def downgrade() -> None:
    op.execute(
        """
        LOCK TABLE stride.jobs IN ACCESS EXCLUSIVE MODE;
        ALTER TABLE stride.jobs DROP COLUMN objective_sha256;
        ALTER TABLE stride.workers DROP COLUMN objective_sha256s;
        DROP TABLE stride.objectives;
        """
    )

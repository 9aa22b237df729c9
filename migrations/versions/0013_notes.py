"""Which jobs have notes in optuna-dashboard, and of when.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE stride.notes (
            job_id uuid PRIMARY KEY REFERENCES stride.jobs (id) ON DELETE CASCADE,
            held_until timestamptz NOT NULL,
            written_at timestamptz,
            state text,
            ended integer
        );
        COMMENT ON COLUMN stride.notes.held_until IS 'somebody writes them until then; nobody else does';
        COMMENT ON COLUMN stride.notes.state IS 'of the job, as they were written';
        COMMENT ON COLUMN stride.notes.ended IS 'trials that had ended by then';
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE stride.notes")

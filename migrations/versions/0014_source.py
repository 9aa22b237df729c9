"""Where the trials of a job were imported from.

Revision ID: 0014
Revises: 0013
"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE stride.jobs ADD COLUMN source text;
        COMMENT ON COLUMN stride.jobs.source IS 'where its first trials were imported from; null: it has trained them itself';
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE stride.jobs DROP COLUMN source")

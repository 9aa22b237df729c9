"""What a measurement carries beyond its metrics: rates by group, losses by update, and the step whose weights are kept.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE stride.measurements ADD COLUMN details jsonb;
        COMMENT ON COLUMN stride.measurements.details IS 'group_rates, update_losses and best_step, where the objective tells';
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE stride.measurements DROP COLUMN details")

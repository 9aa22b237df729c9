"""What SQL must know of a job's strategy, as its code says it: whether it needs history, and whether it counts its own points.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE stride.jobs ADD COLUMN needs_history boolean, ADD COLUMN counts_points boolean;
        COMMENT ON COLUMN stride.jobs.needs_history IS 'the next point depends on the study';
        COMMENT ON COLUMN stride.jobs.counts_points IS 'budget.trials counts next_point, not trial numbers';
        -- As it was when the strategies' names were asked for. No default: whoever inserts a job knows its strategy.
        UPDATE stride.jobs
        SET needs_history = coalesce(spec #>> '{strategy,sampler}' IN ('tpe', 'gp', 'qmc'), false),
            counts_points = spec #>> '{strategy,type}' = 'grid';
        ALTER TABLE stride.jobs ALTER COLUMN needs_history SET NOT NULL, ALTER COLUMN counts_points SET NOT NULL;
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE stride.jobs DROP COLUMN counts_points, DROP COLUMN needs_history")

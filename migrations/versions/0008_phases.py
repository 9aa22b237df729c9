"""A job has phases, each with its own space, strategy and share of the budget; its budget stands in columns.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        """
        -- At once: with a weaker lock first, it could wait for a claim that waits for it.
        LOCK TABLE stride.jobs IN ACCESS EXCLUSIVE MODE;
        CREATE TABLE stride.phases (
            job_id uuid REFERENCES stride.jobs (id) ON DELETE CASCADE,
            position integer,
            name text NOT NULL,
            search_space jsonb NOT NULL,
            strategy jsonb NOT NULL,
            trials integer,
            needs_history boolean NOT NULL,
            counts_points boolean NOT NULL,
            first_number integer,
            PRIMARY KEY (job_id, position),
            CONSTRAINT phases_position_check CHECK (position >= 0),
            CONSTRAINT phases_trials_check CHECK (trials > 0)
        );
        COMMENT ON COLUMN stride.phases.position IS '0, 1, 2, ... without a gap';
        COMMENT ON COLUMN stride.phases.trials IS 'its share of the budget; null: all that the job has left';
        COMMENT ON COLUMN stride.phases.needs_history IS 'the next point depends on the study';
        COMMENT ON COLUMN stride.phases.counts_points IS 'trials counts jobs.next_point, not trial numbers';
        COMMENT ON COLUMN stride.phases.first_number IS 'the trial number that was next when it began; null: it has not';

        INSERT INTO stride.phases (job_id, position, name, search_space, strategy, needs_history, counts_points, first_number)
        SELECT id, 0, 'search', spec -> 'search_space', spec -> 'strategy', needs_history, counts_points, 0 FROM stride.jobs;

        ALTER TABLE stride.jobs
            ADD COLUMN budget_trials integer,
            ADD COLUMN budget_seconds double precision,
            ADD COLUMN budget_target double precision,
            ADD COLUMN budget_failures integer,
            ADD COLUMN phase integer NOT NULL DEFAULT 0;
        COMMENT ON COLUMN stride.jobs.phase IS 'position of the current one';
        COMMENT ON COLUMN stride.jobs.next_point IS 'points of the current phase issued';
        UPDATE stride.jobs
        SET budget_trials = (spec #>> '{budget,trials}')::integer,
            budget_seconds = (spec #>> '{budget,seconds}')::double precision,
            budget_target = (spec #>> '{budget,target}')::double precision,
            budget_failures = (spec #>> '{budget,failures}')::integer;
        ALTER TABLE stride.jobs
            ALTER COLUMN budget_failures SET NOT NULL,
            DROP COLUMN trial_budget,
            DROP COLUMN needs_history,
            DROP COLUMN counts_points;
        """
    )


def downgrade() -> None:
    # Before, a job's space, strategy and budget were those of its spec: what has been changed since is written there. To which of
    # its phases a trial belongs is not known any more.
    op.execute(
        """
        UPDATE stride.jobs
        SET spec = spec || jsonb_build_object(
            'search_space', phases.search_space,
            'strategy', phases.strategy,
            'budget', jsonb_build_object(
                'trials', budget_trials, 'seconds', budget_seconds, 'target', budget_target, 'failures', budget_failures
            )
        )
        FROM stride.phases
        WHERE phases.job_id = jobs.id AND phases.position = jobs.phase
          AND (phases.search_space, phases.strategy, budget_trials, budget_seconds, budget_target, budget_failures)
            IS DISTINCT FROM (
                spec -> 'search_space',
                spec -> 'strategy',
                (spec #>> '{budget,trials}')::integer,
                (spec #>> '{budget,seconds}')::double precision,
                (spec #>> '{budget,target}')::double precision,
                (spec #>> '{budget,failures}')::integer
            );
        DELETE FROM optuna.trial_system_attributes WHERE key = 'stride:phase';

        ALTER TABLE stride.jobs
            ADD COLUMN trial_budget integer GENERATED ALWAYS AS ((spec #>> '{budget,trials}')::integer) STORED,
            ADD COLUMN needs_history boolean,
            ADD COLUMN counts_points boolean;
        COMMENT ON COLUMN stride.jobs.next_point IS 'grid points issued';
        COMMENT ON COLUMN stride.jobs.needs_history IS 'the next point depends on the study';
        COMMENT ON COLUMN stride.jobs.counts_points IS 'budget.trials counts next_point, not trial numbers';
        UPDATE stride.jobs
        SET needs_history = phases.needs_history, counts_points = phases.counts_points
        FROM stride.phases
        WHERE phases.job_id = jobs.id AND phases.position = jobs.phase;
        ALTER TABLE stride.jobs
            ALTER COLUMN needs_history SET NOT NULL,
            ALTER COLUMN counts_points SET NOT NULL,
            DROP COLUMN phase,
            DROP COLUMN budget_trials,
            DROP COLUMN budget_seconds,
            DROP COLUMN budget_target,
            DROP COLUMN budget_failures;
        DROP TABLE stride.phases;
        """
    )

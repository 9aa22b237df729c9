"""A phase may keep seconds of the budget for itself, and have no trials; jobs from before are not confirmed.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(
        """
        -- At once: with a weaker lock first, it could wait for a claim that waits for it.
        LOCK TABLE stride.jobs IN ACCESS EXCLUSIVE MODE;
        ALTER TABLE stride.phases
            ADD COLUMN seconds double precision,
            DROP CONSTRAINT phases_trials_check,
            ADD CONSTRAINT phases_trials_check CHECK (trials >= 0),
            ADD CONSTRAINT phases_seconds_check CHECK (seconds > 0);
        COMMENT ON COLUMN stride.phases.seconds IS 'of budget.seconds, kept for it by earlier phases';
        ALTER TABLE stride.jobs ADD COLUMN later_seconds double precision NOT NULL DEFAULT 0;
        COMMENT ON COLUMN stride.jobs.later_seconds IS 'of budget.seconds, kept for later phases';
        UPDATE stride.jobs SET spec = jsonb_set(spec, '{budget,confirm}', '0');
        """
    )


def downgrade() -> None:
    # Before, no phase confirmed: one that has not begun goes, and the phase before it gets what the budget has left. One that has
    # begun becomes a search, as the job's spec says, in which the trials that confirmed are like any others.
    op.execute(
        """
        LOCK TABLE stride.jobs IN ACCESS EXCLUSIVE MODE;
        DELETE FROM stride.phases USING stride.jobs
        WHERE jobs.id = phases.job_id AND phases.position > jobs.phase AND EXISTS (
            SELECT FROM stride.phases AS confirming WHERE confirming.job_id = phases.job_id AND confirming.name = 'confirm'
        );
        UPDATE stride.phases SET trials = NULL
        FROM stride.jobs
        WHERE jobs.id = phases.job_id AND phases.position = jobs.phase
            AND (phases.name = 'confirm' OR (jobs.spec #>> '{budget,confirm}') IS DISTINCT FROM '0');
        UPDATE stride.phases SET trials = NULL WHERE trials = 0; -- of a phase that is over, which nobody reads again
        UPDATE stride.phases
        SET name = 'search',
            strategy = jobs.spec -> 'strategy',
            needs_history = other.needs_history,
            counts_points = other.counts_points
        FROM stride.jobs, stride.phases AS other
        WHERE jobs.id = phases.job_id AND other.job_id = phases.job_id AND other.position = 0 AND phases.name = 'confirm';
        UPDATE stride.jobs
        SET phase_trials = phase.trials,
            needs_history = phase.needs_history,
            counts_points = phase.counts_points,
            has_next_phase = EXISTS (
                SELECT FROM stride.phases AS later WHERE later.job_id = phase.job_id AND later.position = phase.position + 1
            )
        FROM stride.phases AS phase
        WHERE phase.job_id = jobs.id AND phase.position = jobs.phase;
        DELETE FROM optuna.trial_system_attributes WHERE key = 'stride:candidate';
        ALTER TABLE stride.jobs DROP COLUMN later_seconds;
        UPDATE stride.jobs SET spec = spec #- '{budget,confirm}';
        ALTER TABLE stride.phases
            DROP CONSTRAINT phases_seconds_check,
            DROP COLUMN seconds,
            DROP CONSTRAINT phases_trials_check,
            ADD CONSTRAINT phases_trials_check CHECK (trials > 0);
        """
    )

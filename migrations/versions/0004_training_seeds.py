"""Which seed each trial is trained with: stored jobs shared one, trials say theirs.

Revision ID: 0004
Revises: 0003
"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # With replicates a job had, and keeps, a seed for each; "per_trial" is what lets it be submitted again. So it is of a job
    # whose trials have seeds of their own, since it was submitted before a downgrade.
    op.execute(
        """
        UPDATE stride.jobs
        SET spec = spec || jsonb_build_object(
            'training_seed',
            CASE
                WHEN (spec ->> 'replicates')::integer > 1 OR EXISTS (
                    SELECT FROM optuna.trial_user_attributes AS attribute JOIN stride.leases USING (trial_id)
                    WHERE leases.job_id = jobs.id AND attribute.key = 'training_seed'
                      AND attribute.value_json <> jobs.spec ->> 'seed'
                )
                THEN 'per_trial' ELSE 'shared'
            END
        )
        WHERE NOT spec ? 'training_seed'
        """
    )
    # Trials that workers have trained, and no foreign ones: of these nobody knows the seed.
    op.execute(
        """
        INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)
        SELECT DISTINCT leases.trial_id, 'training_seed', jobs.spec ->> 'seed'
        FROM stride.leases JOIN stride.jobs ON jobs.id = leases.job_id JOIN optuna.trials USING (trial_id)
        ON CONFLICT (trial_id, key) DO NOTHING
        """
    )
    connection = op.get_bind()
    replicates = connection.execute(
        sa.text(
            """
            SELECT trials.trial_id, jobs.spec ->> 'seed', attribute.value_json::integer
            FROM optuna.trial_user_attributes AS attribute
            JOIN optuna.trials USING (trial_id)
            JOIN stride.jobs USING (study_id)
            WHERE attribute.key = 'replicate' AND (jobs.spec ->> 'replicates')::integer > 1
              AND attribute.value_json ~ '^[1-9][0-9]?$' AND attribute.value_json::integer < (jobs.spec ->> 'replicates')::integer
              AND EXISTS (SELECT FROM stride.leases WHERE leases.trial_id = trials.trial_id)
            """
        )
    ).all()
    if replicates:
        connection.execute(
            sa.text(
                "UPDATE optuna.trial_user_attributes SET value_json = :seed WHERE trial_id = :trial AND key = 'training_seed'"
            ),
            [{"trial": trial, "seed": str(_replicate_seed(seed, replicate))} for trial, seed, replicate in replicates],
        )


def downgrade() -> None:
    # Of trials with seeds of their own these stay: nothing else says what they were trained with.
    op.execute(
        """
        DELETE FROM optuna.trial_user_attributes
        WHERE key = 'training_seed' AND trial_id IN (
            SELECT leases.trial_id FROM stride.leases JOIN stride.jobs ON jobs.id = leases.job_id
            WHERE jobs.spec ->> 'training_seed' = 'shared' OR (jobs.spec ->> 'replicates')::integer > 1
        )
        """
    )
    op.execute("UPDATE stride.jobs SET spec = spec - 'training_seed'")


def _replicate_seed(job_seed: str, replicate: int) -> int:
    """As it was drawn when this migration was written."""
    return int.from_bytes(hashlib.sha256(f"{job_seed}/replicate {replicate}".encode()).digest()[:8]) >> 1

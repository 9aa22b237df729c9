"""Which extensions of jobs were asked for with an Idempotency-Key.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE stride.extensions (
            idempotency_key text PRIMARY KEY,
            job_id uuid NOT NULL REFERENCES stride.jobs (id) ON DELETE CASCADE,
            request_sha256 bytea NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE INDEX extensions_job_id_idx ON stride.extensions (job_id);
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE stride.extensions")

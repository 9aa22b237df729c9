"""What the tokens of clients stand for. No function here commits, and none locks: writes match the lease's token again."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from service.domain.lease import Lease, Outcome


@dataclass(frozen=True, kw_only=True)
class TokenHolder:
    """The lease that was opened with a token."""

    lease: Lease
    worker_id: UUID
    outcome: Outcome | None
    """None: it has not ended."""
    is_released: bool
    last_step: int | None
    """The highest step stored under it."""
    from_step: int | None
    """The step of the checkpoint that it has resumed from; None: none."""
    held_s: float
    """Seconds since it was opened."""


def holders(conn: sa.Connection, tokens: Collection[UUID]) -> dict[UUID, TokenHolder]:
    """The leases of those tokens that have one, whatever became of it. Needs leases_token_key."""
    rows = conn.exec_driver_sql(
        "SELECT id, token, job_id, lease.trial_id, number, attempt, worker_id, outcome, released_at IS NOT NULL AS is_released,"
        " last_step, from_step, extract(epoch FROM clock_timestamp() - started_at)::float8 AS held_s"
        " FROM stride.leases AS lease JOIN optuna.trials AS trial USING (trial_id) WHERE token = ANY(%(tokens)s::uuid[])",
        {"tokens": list(tokens)},
    )
    return {
        row.token: TokenHolder(
            lease=Lease(
                id=row.id, token=row.token, job_id=row.job_id, trial_id=row.trial_id, number=row.number, attempt=row.attempt
            ),
            worker_id=row.worker_id,
            outcome=None if row.outcome is None else Outcome(row.outcome),
            is_released=row.is_released,
            last_step=row.last_step,
            from_step=row.from_step,
            held_s=row.held_s,
        )
        for row in rows
    }

"""Attempts at a trial: at most one is open, and those in a row that brought nothing new are counted."""

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from service.domain.lease import Outcome
from service.store import leases, tables
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.store.held import claimed, expire
from tests.integration.store.test_leases import FRUITLESS


def test_a_trial_has_one_open_lease_at_most(database: Database) -> None:
    submit_job(database)
    lease = claimed(database).lease
    with pytest.raises(sa.exc.IntegrityError, match="leases_open_trial_id_key"), database.transaction() as conn:
        conn.exec_driver_sql(
            "INSERT INTO stride.leases (token, job_id, trial_id, attempt, worker_id, expires_at)"
            " SELECT gen_random_uuid(), job_id, trial_id, attempt + 1, worker_id, expires_at FROM stride.leases"
            " WHERE id = %(id)s",
            {"id": lease.id},
        )


def test_attempts_in_a_row_without_anything_new_are_counted(database: Database) -> None:
    job = submit_job(database)
    with database.transaction() as conn:
        for trial_id, (attempts, _) in enumerate(FRUITLESS):
            for number, (outcome, last_step) in enumerate(attempts, start=1):
                conn.execute(
                    tables.leases.insert().values(
                        token=uuid4(),
                        job_id=job.id,
                        trial_id=trial_id,
                        attempt=number,
                        worker_id=uuid4(),
                        expires_at=sa.func.clock_timestamp(),
                        ended_at=sa.func.clock_timestamp(),
                        outcome=outcome,
                        last_step=last_step,
                    )
                )
        counted = [(attempts, leases.fruitless_attempts(conn, trial_id)) for trial_id, (attempts, _) in enumerate(FRUITLESS)]
    assert counted == FRUITLESS


def test_an_open_lease_does_not_count_yet(database: Database) -> None:
    submit_job(database)
    lease = claimed(database).lease
    with database.transaction() as conn:
        assert leases.fruitless_attempts(conn, lease.trial_id) == 0


def test_attempts_are_listed_in_order_with_their_workers(database: Database) -> None:
    submit_job(database)
    first = claimed(database)
    expire(database, first.lease)
    claimed(database)
    with database.transaction() as conn:
        listed = leases.attempts(conn, [first.lease.trial_id, 10_000])
    assert listed[10_000] == []
    one, two = listed[first.lease.trial_id]
    assert (one.attempt, one.outcome, two.attempt, two.outcome) == (1, Outcome.VANISHED, 2, None)
    assert one.ended_at is not None
    assert timedelta() <= one.ended_at - one.started_at < timedelta(minutes=1)

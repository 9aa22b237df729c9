"""Leases as tests hold, report under, and look at them."""

from uuid import uuid4

import sqlalchemy as sa

from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.domain.job import Job
from service.domain.lease import Lease
from service.store import leases, measurements, tables, trials
from service.store.postgres import Database
from tests.factories import measurement

LEASE_S = 30.0


def claimed(database: Database) -> Claim:
    claim = Claimer(database, uuid4(), ["quadratic"], LEASE_S).claim(uuid4())
    assert claim is not None
    return claim


def row(database: Database, lease: Lease) -> sa.RowMapping:
    with database.transaction() as conn:
        return conn.execute(tables.leases.select().where(tables.leases.c.id == lease.id)).mappings().one()


def seconds_left(database: Database, lease: Lease) -> float:
    with database.transaction() as conn:
        query = "SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM stride.leases WHERE id = %(id)s"
        left: float = conn.exec_driver_sql(query, {"id": lease.id}).scalar_one()
        return left


def expire(database: Database, lease: Lease) -> None:
    with database.transaction() as conn:
        query = "UPDATE stride.leases SET expires_at = clock_timestamp() - interval '1 second' WHERE id = %(id)s"
        conn.exec_driver_sql(query, {"id": lease.id})


def report(database: Database, lease: Lease, *losses: float, first_step: int = 1) -> leases.Renewal:
    steps = [measurement(step, loss, fraction=0.5) for step, loss in enumerate(losses, start=first_step)]
    with database.transaction() as conn:
        return leases.report(conn, lease, steps, "loss", lease_s=LEASE_S)


def stored(database: Database, job: Job) -> dict[int, list[tuple[int, float]]]:
    """Curves by trial number, which must be the same in both places where they stand."""
    with database.transaction() as conn:
        curves = {}
        for record in trials.trials_since(conn, job.study_id):
            curves[record.number] = [(point.step, point.value) for point in record.curve]
            ours = [(item.step, item.metrics["loss"]) for item in measurements.of_trial(conn, record.trial_id)]
            assert repr(ours) == repr(curves[record.number])
        return curves

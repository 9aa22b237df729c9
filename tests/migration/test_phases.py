"""Migration 0008 on jobs of every kind: up and down again, with what was changed in between."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from alembic import command

from service.dispatch import lifecycle
from service.domain.job import Job, JobState
from service.domain.phase import Phase
from service.domain.request import Budget
from service.store import jobs, migrate, trial_reader
from service.store.postgres import Database
from tests.factories import set_budget, submit_job, submit_job_of_phases
from tests.integration.dispatch.phases import NARROW, RATE_ALONE, phases_of
from tests.integration.dispatch.training import claimed, claimer_of, stored

BEFORE = "0007"
QMC: dict[str, Any] = {"type": "random", "sampler": "qmc"}
KINDS: list[dict[str, Any]] = [
    {"strategy": "grid", "budget": {"trials": 4}},
    {"strategy": "random", "budget": {"seconds": 60.5}},
    {"strategy": QMC, "budget": {"target": 1e-30, "trials": 3}, "direction": "maximize"},
    {"strategy": "bayesian", "replicates": 2, "budget": {"trials": 9, "failures": 2}, "try_first": [{"learning_rate": 0.1}]},
    {"strategy": {"type": "bayesian", "sampler": "gp"}, "pruner": "none", "budget": {"trials": 5}, "training_seed": "shared"},
]


@pytest.fixture
def migrated(empty_database_url: str) -> Iterator[Database]:
    """A database of its own, since a test takes it down."""
    database = Database(empty_database_url)
    migrate.upgrade(database)
    yield database
    database.close()


def down(database: Database) -> None:
    with database.transaction() as conn:
        command.downgrade(migrate._config(conn), BEFORE)


def read(database: Database, job_id: UUID) -> Job:
    with database.transaction() as conn:
        return jobs.get(conn, job_id)


def rows(database: Database) -> list[dict[str, Any]]:
    """The jobs as they are stored, all columns."""
    with database.transaction() as conn:
        return [dict(row) for row in conn.exec_driver_sql("SELECT * FROM stride.jobs ORDER BY created_at").mappings()]


def test_stored_jobs_of_every_kind_are_the_same_with_a_phase_each(migrated: Database) -> None:
    submitted = [submit_job(migrated, search_space=RATE_ALONE, **kind) for kind in KINDS]
    ended = submit_job(migrated, search_space=RATE_ALONE, budget={"trials": 2}, priority=9)
    claimer = claimer_of(migrated)
    for _ in range(6):
        claimed(claimer)
    migrated.transact(lambda conn: lifecycle.pause(conn, submitted[0].id))
    migrated.transact(lambda conn: lifecycle.cancel(conn, ended.id))
    before = [read(migrated, job.id) for job in [*submitted, ended]]
    down(migrated)
    older = rows(migrated)
    known = [(row["needs_history"], row["counts_points"], row["trial_budget"]) for row in older]
    assert known == [
        (False, True, 4),
        (False, False, None),
        (True, False, 3),
        (True, False, 9),
        (True, False, 5),
        (False, False, 2),
    ]
    migrate.upgrade(migrated)
    after = [read(migrated, job.id) for job in [*submitted, ended]]
    assert after == before
    for job in after:
        assert job.budget == job.spec.budget
        assert job.phases == (Phase(spec=job.spec, counts_points=job.spec.strategy.type == "grid"),)
    assert [job.state for job in after][::5] == [JobState.PAUSED, JobState.CANCELLED]
    down(migrated)
    assert rows(migrated) == older
    migrate.upgrade(migrated)
    assert claimed(claimer_of(migrated)).job.id in {job.id for job in submitted}


def test_a_job_with_phases_and_a_budget_of_its_own_goes_down_as_its_current_phase(migrated: Database) -> None:
    later = {"search_space": RATE_ALONE | NARROW, "strategy": "grid"}
    job = submit_job_of_phases(migrated, 2, later, search_space=RATE_ALONE, budget={"trials": 3})
    with migrated.transaction() as conn:
        set_budget(conn, job, 6)
    claimer = claimer_of(migrated)
    for _ in range(4):
        claimed(claimer)
    before = read(migrated, job.id)
    assert phases_of(stored(migrated, job)) == [0, 0, 1, 1]
    down(migrated)
    assert phases_of(stored(migrated, job)) == [0, 0, 0, 0], "which is not known any more"
    [row] = rows(migrated)
    assert (row["counts_points"], row["trial_budget"], row["next_point"]) == (True, 6, 2)
    migrate.upgrade(migrated)
    after = read(migrated, job.id)
    assert (after.search_space, after.spec.strategy) == (before.search_space, before.phase.spec.strategy)
    assert after.budget == Budget(trials=6, confirm=0)
    with migrated.transaction() as conn:
        assert len(trial_reader.page(conn, after, limit=9)) == 4

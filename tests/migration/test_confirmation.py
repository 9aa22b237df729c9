"""Migration 0010 on jobs that confirm: down and up again, before, in and after their confirming phase."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from alembic import command

from service.dispatch.outcome import Infeasible
from service.domain.job import JobState
from service.store import jobs, migrate
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.confirming import BUDGET, done, extended, kinds
from tests.integration.dispatch.phases import RATE_ALONE, complete_next
from tests.integration.dispatch.training import claimed, claimer_of, conclude, state_of

BEFORE = "0009"


@pytest.fixture
def migrated(empty_database_url: str) -> Iterator[Database]:
    """A database of its own, since a test takes it down."""
    database = Database(empty_database_url)
    migrate.upgrade(database)
    yield database
    database.close()


def down_and_up(database: Database) -> None:
    with database.transaction() as conn:
        command.downgrade(migrate._config(conn), BEFORE)
    migrate.upgrade(database)
    jobs.recall.cache_clear()  # as in a process of its own
    jobs._later_phases.cache_clear()


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
@pytest.mark.parametrize("after", [5, 13, 14])
def test_an_open_job_searches_with_what_its_budget_has_left(migrated: Database, strategy: str, after: int) -> None:
    job = submit_job(migrated, search_space=RATE_ALONE, strategy=strategy, budget=BUDGET)
    for _ in range(after):
        complete_next(migrated, claimer_of(migrated))
    down_and_up(migrated)
    assert done(migrated, claimer_of(migrated)) == 16 - after
    assert kinds(migrated, job)[after:] == "s" * (16 - after)
    assert state_of(migrated, job) is JobState.COMPLETED


def test_a_job_that_had_nothing_to_confirm_and_went_on_searches_further(migrated: Database) -> None:
    """Its confirming phase has no trials, which no phase could have before."""
    job = submit_job(migrated, search_space=RATE_ALONE, budget=BUDGET)
    claimer = claimer_of(migrated)
    for _ in range(13):
        conclude(migrated, claimed(claimer), Infeasible(step=1, fraction=0.25, evidence="loss became inf"))
    assert claimer_of(migrated).claim(uuid4()) is None
    extended(migrated, job, trials=10)
    complete_next(migrated, claimer)
    down_and_up(migrated)
    assert done(migrated, claimer_of(migrated)) == 9
    assert state_of(migrated, job) is JobState.COMPLETED

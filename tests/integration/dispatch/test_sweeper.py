"""The sweeper: lost workers are reported once, and several sweepers may run at a time."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import optuna
import pytest

from service.dispatch.outcome import Completed
from service.dispatch.sweeper import sweep, tidy_up
from service.domain.job import JobState
from service.store import workers
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.training import claimed, claimer_of, conclude, current, events, state_of
from tests.stock_optuna import stock


def registered(database: Database, *, silent_s: float = 0.0, stopped: bool = False) -> UUID:
    """A worker that counts as lost after 30 s without a heartbeat."""
    worker_id = uuid4()
    with database.transaction() as conn:
        workers.register(
            conn, worker_id, name=f"{worker_id}", objectives=["quadratic"], device="cpu", version="1", lost_after_s=30
        )
        if stopped:
            workers.stopped(conn, worker_id)
    stop_heartbeats(database, worker_id, silent_s)
    return worker_id


def stop_heartbeats(database: Database, worker_id: UUID, silent_s: float) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.workers SET seen_at = clock_timestamp() - make_interval(secs => %(s)s) WHERE id = %(id)s",
            {"s": silent_s, "id": worker_id},
        )


def lost(database: Database) -> list[dict[str, Any]]:
    with database.transaction() as conn:
        query = "SELECT payload FROM stride.events WHERE job_id IS NULL AND type = 'worker.lost' ORDER BY id"
        return list(conn.exec_driver_sql(query).scalars())


def test_a_lost_worker_is_reported_once(database: Database) -> None:
    silent = registered(database, silent_s=60)
    registered(database, silent_s=20)
    registered(database, silent_s=60, stopped=True)
    for _ in range(3):
        tidy_up(database)
    assert lost(database) == [{"worker": str(silent), "id": str(silent)}]


def test_a_worker_that_comes_back_and_is_lost_again_is_reported_again(database: Database) -> None:
    worker = registered(database, silent_s=60)
    tidy_up(database)
    database.transact(partial(workers.seen, worker_id=worker))
    tidy_up(database)
    assert len(lost(database)) == 1
    stop_heartbeats(database, worker, 60)
    tidy_up(database)
    assert [event["id"] for event in lost(database)] == [str(worker)] * 2


def test_concurrent_sweepers_report_each_lost_worker_once(database: Database) -> None:
    silent = {str(registered(database, silent_s=60)) for _ in range(5)}
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, database) for work in (tidy_up, sweep) * 8]:
            done.result(30)
    assert sorted(event["id"] for event in lost(database)) == sorted(silent)


def test_a_heartbeat_returns_how_many_workers_are_alive(database: Database) -> None:
    one = registered(database)
    registered(database, stopped=True)
    registered(database, silent_s=60)
    tidy_up(database)
    registered(database)
    assert database.transact(partial(workers.seen, worker_id=one)) == 2


def test_a_worker_that_was_deleted_from_the_register_is_not_counted_as_alive(database: Database) -> None:
    registered(database)
    assert database.transact(partial(workers.seen, worker_id=uuid4())) == 0


def test_a_worker_that_registers_again_after_a_lost_reply_is_one_worker(database: Database) -> None:
    worker_id = uuid4()
    for _ in range(2):
        with database.transaction() as conn:
            workers.register(conn, worker_id, name="a", objectives=["quadratic"], device="cpu", version="1", lost_after_s=30)
    with database.transaction() as conn:
        assert [worker.id for worker in workers.page(conn, limit=10)] == [worker_id]


@pytest.mark.parametrize("claimed_first", [True, False])
def test_a_job_whose_last_number_a_foreign_script_took_completes(database: Database, claimed_first: bool) -> None:
    job = submit_job(database, budget={"trials": 2 if claimed_first else 1})
    claimer = claimer_of(database)
    if claimed_first:
        conclude(database, claimed(claimer), Completed(value=1.0))
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        optuna.load_study(study_name=job.study_name, storage=storage).add_trial(optuna.trial.create_trial(value=3.0))
    assert claimer.claim(uuid4()) is None
    for _ in range(2):
        tidy_up(database)
    assert (state_of(database, job), current(database, job).reason) == (
        JobState.COMPLETED,
        "all trials of the budget have finished",
    )
    expected = ["job.started", "trial.started", "trial.completed"] if claimed_first else ["job.started"]
    assert events(database, job) == ["job.submitted", *expected, "job.completed"]


def test_jobs_with_something_left_to_do_are_not_completed(database: Database) -> None:
    untouched, leased = submit_job(database, budget={"trials": 1}, priority=-1), submit_job(database, budget={"trials": 1})
    claimed(claimer_of(database))
    tidy_up(database)
    assert state_of(database, untouched) is JobState.QUEUED
    assert state_of(database, leased) is JobState.RUNNING

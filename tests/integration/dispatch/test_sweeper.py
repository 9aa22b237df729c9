"""The sweeper: workers that fell silent are told of once, and several sweepers do no harm."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from service.dispatch.sweeper import sweep, tidy_up
from service.store import workers
from service.store.postgres import Database


def registered(database: Database, *, silent_s: float = 0.0, stopped: bool = False) -> UUID:
    """A worker that would count as lost after 30 s of silence."""
    worker_id = uuid4()
    with database.transaction() as conn:
        workers.register(
            conn, worker_id, name=f"{worker_id}", objectives=["quadratic"], device="cpu", version="1", lost_after_s=30
        )
        if stopped:
            workers.stopped(conn, worker_id)
    fall_silent(database, worker_id, silent_s)
    return worker_id


def fall_silent(database: Database, worker_id: UUID, silent_s: float) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.workers SET seen_at = clock_timestamp() - make_interval(secs => %(s)s) WHERE id = %(id)s",
            {"s": silent_s, "id": worker_id},
        )


def lost(database: Database) -> list[dict[str, Any]]:
    with database.transaction() as conn:
        query = "SELECT payload FROM stride.events WHERE job_id IS NULL AND type = 'worker.lost' ORDER BY id"
        return list(conn.exec_driver_sql(query).scalars())


def test_a_lost_worker_is_told_of_once(database: Database) -> None:
    silent = registered(database, silent_s=60)
    registered(database, silent_s=20)
    registered(database, silent_s=60, stopped=True)
    for _ in range(3):
        tidy_up(database)
    assert lost(database) == [{"worker": str(silent), "id": str(silent)}]


def test_a_worker_that_comes_back_and_is_lost_again_is_told_of_again(database: Database) -> None:
    worker = registered(database, silent_s=60)
    tidy_up(database)
    database.transact(partial(workers.seen, worker_id=worker))
    tidy_up(database)
    assert len(lost(database)) == 1
    fall_silent(database, worker, 60)
    tidy_up(database)
    assert [event["id"] for event in lost(database)] == [str(worker)] * 2


def test_sweepers_at_once_tell_of_each_lost_worker_once(database: Database) -> None:
    silent = {str(registered(database, silent_s=60)) for _ in range(5)}
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, database) for work in (tidy_up, sweep) * 8]:
            done.result(30)
    assert sorted(event["id"] for event in lost(database)) == sorted(silent)


def test_a_sign_of_life_tells_how_many_there_are(database: Database) -> None:
    one = registered(database)
    registered(database, stopped=True)
    registered(database, silent_s=60)
    tidy_up(database)
    registered(database)
    assert database.transact(partial(workers.seen, worker_id=one)) == 2

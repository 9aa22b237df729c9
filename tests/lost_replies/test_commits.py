"""The proxy classifies commits, and drops the reply that it is to drop and no other."""

from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import pytest

from service.dispatch import lifecycle
from service.dispatch.outcome import Completed
from service.dispatch.renew import report
from service.domain.job import JobState
from service.errors import DatabaseUnavailable
from service.store import leases
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude, state_of
from tests.lost_replies.commits import CommitProxy, Conversation


@pytest.fixture
def proxy(database_url: str) -> Iterator[CommitProxy]:
    with CommitProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: CommitProxy) -> Iterator[Database]:
    """The database through the proxy."""
    database = Database(proxy.url, timeout_s=5)
    yield database
    database.close()


def test_transactions_are_known_by_what_is_said_in_them(proxy: CommitProxy, behind: Database) -> None:
    job = submit_job(behind, budget={"trials": 2})
    first, second = claimed(claimer_of(behind)), claimed(claimer_of(behind))
    behind.transact(lambda conn: report(conn, job, first.lease, [measurement(1)], lease_s=LEASE_S))
    conclude(behind, first, Completed(value=1.0))
    behind.transact(lambda conn: leases.release(conn, second.lease, "no matter"))
    again = claimed(claimer_of(behind))
    claimer_of(behind).retry(again, uuid4(), "killed", "")
    for move in (lifecycle.pause, lifecycle.pause, lifecycle.resume, lifecycle.cancel, lifecycle.cancel):
        behind.transact(partial(move, job_id=job.id))
    counted = dict(proxy.commits)
    # A job that is already in the wanted state is only read.
    assert counted.pop("other") >= 2
    assert counted == {
        "submit": 1,
        "claim": 2,
        "report": 1,
        "finish": 1,
        "release": 1,
        "takeover": 1,
        "trainer death": 1,
        "pause": 1,
        "resume": 1,
        "cancel": 1,
    }


def test_the_reply_is_lost_after_the_commit_and_only_once(database: Database, proxy: CommitProxy, behind: Database) -> None:
    jobs = [submit_job(behind) for _ in range(3)]
    proxy.lose("cancel", 2)
    seen: list[JobState] = []
    for job in jobs:
        try:
            behind.transact(partial(lifecycle.cancel, job_id=job.id))
        except DatabaseUnavailable:
            assert proxy.has_lost
            seen.append(state_of(database, job))
    assert seen == [JobState.CANCELLED]
    assert proxy.commits["cancel"] == 3


def test_messages_are_understood_however_they_are_cut() -> None:
    said = Conversation()
    greeting = (
        (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big") + (9).to_bytes(4, "big") + (196608).to_bytes(4, "big") + b"\0"
    )
    stream = greeting + b"".join(
        kind + (len(text) + 4).to_bytes(4, "big") + text
        for kind, text in ((b"Q", b"BEGIN; SET\0"), (b"P", b"\0INSERT\0\0\0"), (b"B", b"{job.paused}"), (b"Q", b"COMMIT\0"))
    )
    for position in range(len(stream)):
        assert said.committing is None
        said.add(stream[position : position + 1])
    assert said.committing == "pause"

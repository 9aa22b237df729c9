"""An attempt sleeps for nothing: whatever it waits for, it says, and its worker's loop waits."""

import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from service.store.postgres import Database
from service.worker.attempt import Attempt
from service.worker.retrying import RETRY_S
from service.worker.waiting import Wait
from tests.integration.worker.supervised import Supervised, stepping_job, supervised
from tests.tcp_proxy import Mode, TcpProxy


@pytest.fixture
def proxy(database_url: str) -> Iterator[TcpProxy]:
    with TcpProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: TcpProxy) -> Iterator[Supervised]:
    """A worker that reaches the database through the proxy."""
    database = Database(proxy.url, timeout_s=2)
    with supervised(database, interval_s=60, heartbeat_s=0.0, lease_s=60) as worker:
        yield worker
    database.close()


def nobody_sleeps(seconds: float) -> NoReturn:
    raise AssertionError(f"somebody sleeps for {seconds:g} s")


@pytest.mark.parametrize("settings", [{}, {"raise_at": 1}, {"kill_at": 1}], ids=["finish", "failure", "death"])
def test_while_the_database_is_away_an_attempt_says_when_it_is_to_be_asked_again(
    database: Database, proxy: TcpProxy, behind: Supervised, monkeypatch: pytest.MonkeyPatch, settings: dict[str, int]
) -> None:
    stepping_job(database, epochs=1, epoch_s=0.0, settings=settings, max_attempts=1)
    attempt: Attempt = behind.supervisor._attempt(behind.claim())
    work = attempt.run()
    proxy.mode = Mode.RESET
    away: list[Wait] = []
    with pytest.raises(StopIteration) as done:
        while True:
            with monkeypatch.context() as patched:
                patched.setattr(time, "sleep", nobody_sleeps)
                wait = next(work)
            if wait.listening:
                behind.trainer.wait(wait.until)
                continue
            assert wait.until <= time.monotonic() + RETRY_S
            away.append(wait)
            if len(away) == 3:
                proxy.mode = Mode.PASS
            time.sleep(max(0.0, wait.until - time.monotonic()))
    assert len(away) >= 3
    assert done.value.value is None, "there is no next attempt"

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from service.store.postgres import _Watchdog

WAIT_S = 10.0


class Wire:
    """A connection as the watchdog sees one, and its other end."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.pgconn = SimpleNamespace(socket=self.near.fileno())

    def ended(self, within_s: float) -> bool:
        self.far.settimeout(within_s)
        try:
            return self.far.recv(1) == b""
        except (TimeoutError, BlockingIOError):
            return False

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def watchdog() -> Iterator[_Watchdog]:
    watchdog = _Watchdog()
    yield watchdog
    watchdog.stop()


@pytest.fixture
def wires() -> Iterator[list[Wire]]:
    wires = [Wire(), Wire()]
    yield wires
    for wire in wires:
        wire.close()


def test_a_connection_over_its_time_is_shut_down(watchdog: _Watchdog, wires: list[Wire]) -> None:
    watchdog.watch(wires[0], 0.05)
    assert wires[0].ended(WAIT_S)


def test_a_shorter_deadline_that_comes_later_is_kept(watchdog: _Watchdog, wires: list[Wire]) -> None:
    watchdog.watch(wires[0], 60)
    watchdog.watch(wires[1], 0.05)
    assert wires[1].ended(WAIT_S)
    assert not wires[0].ended(0)


def test_a_connection_that_is_done_in_time_is_left_alone(watchdog: _Watchdog, wires: list[Wire]) -> None:
    ticket = watchdog.watch(wires[0], 0.05)
    watchdog.forget(wires[0], ticket)
    watchdog.watch(wires[1], 0.1)
    assert wires[1].ended(WAIT_S)
    assert not wires[0].ended(0)


def test_who_is_late_to_forget_takes_nobody_elses_deadline_away(watchdog: _Watchdog, wires: list[Wire]) -> None:
    """A pooled connection is another thread's as soon as it is returned, which is before the first one forgets it."""
    first = watchdog.watch(wires[0], 60)
    watchdog.watch(wires[0], 0.05)
    watchdog.forget(wires[0], first)
    assert wires[0].ended(WAIT_S)

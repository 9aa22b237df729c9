"""A request to stop reaches a waiting thread at whatever instruction the signal interrupts it."""

import contextlib
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest

from service.worker import stopping
from service.worker.stopping import StopRequest

LONG_S = 60.0
SHORT_S = 0.02
CLEAR_S = 0.5
"""Longer than a busy machine keeps a process waiting between two instructions."""
NEVER = 10**6
OF_A_WAIT = {module.__file__ for module in (stopping, contextlib, queue, threading)}
"""What else may run in between, as the garbage collector does, would make the numbers of instructions differ."""


Asked = Callable[[], StopRequest]


@pytest.fixture
def asked() -> Iterator[Asked]:
    """Makes a request that SIGUSR1 sets."""
    before = signal.getsignal(signal.SIGUSR1)

    def make() -> StopRequest:
        request = StopRequest()
        signal.signal(signal.SIGUSR1, lambda number, frame: request.set())
        return request

    yield make
    signal.signal(signal.SIGUSR1, before)


def interrupted(work: Callable[[], object], *, at: int) -> list[float]:
    """Run `work`, with SIGUSR1 before its instruction number `at`, from 0; returns when each up to there began."""
    began: list[float] = []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in OF_A_WAIT:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            began.append(time.monotonic())
            if len(began) == at + 1:
                sys.settrace(None)
                signal.raise_signal(signal.SIGUSR1)
                return None
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return began


def test_a_signal_at_any_instruction_before_a_wait_ends_it(asked: Asked) -> None:
    began = interrupted(partial(asked().wait, CLEAR_S), at=NEVER)
    pauses = [after - before for before, after in pairwise(began)]
    sleeps = pauses.index(max(pauses))
    assert (sleeps > 10, pauses[sleeps] >= CLEAR_S) == (True, True)
    for at in range(sleeps + 1):
        request = asked()
        start = time.monotonic()
        interrupted(partial(request.wait, LONG_S), at=at)
        request.wait(LONG_S)  # nor does the next one take any time
        assert request.is_set()
        assert time.monotonic() - start < LONG_S / 2


def test_a_signal_at_any_instruction_of_a_wait_is_kept(asked: Asked) -> None:
    count = len(interrupted(partial(asked().wait, SHORT_S), at=NEVER))
    for at in range(count):
        request = asked()
        assert len(interrupted(partial(request.wait, SHORT_S), at=at)) == at + 1
        assert request.is_set()


def test_a_signal_that_comes_while_it_sleeps_ends_the_wait(asked: Asked) -> None:
    request = asked()
    threading.Timer(0.1, signal.pthread_kill, [threading.main_thread().ident, signal.SIGUSR1]).start()
    start = time.monotonic()
    request.wait(LONG_S)
    assert time.monotonic() - start < LONG_S / 2


def test_a_wait_ends_when_its_time_is_over(asked: Asked) -> None:
    request = asked()
    start = time.monotonic()
    request.wait(SHORT_S)
    assert time.monotonic() - start >= SHORT_S
    assert not request.is_set()

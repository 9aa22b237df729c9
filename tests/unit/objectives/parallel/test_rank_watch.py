"""Which ranks hang: those that neither compute nor exchange anything, while others wait."""

import mmap
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from objectives.parallel.watch import Watch

TIMEOUT_S = 0.4
SLEEPS, COMPUTES = "import time; time.sleep(1000)", "while True: pass"


@contextmanager
def _watched(codes: Sequence[str], places: Sequence[int]) -> Iterator[tuple[Watch, list[subprocess.Popen[bytes]]]]:
    """Two processes with their places, as ranks have them."""
    with ExitStack() as stack, mmap.mmap(-1, 8 * len(places)) as memory:
        memory[:] = struct.pack(f"{len(places)}q", *places)
        ranks = [stack.enter_context(subprocess.Popen([sys.executable, "-I", "-S", "-c", code])) for code in codes]
        try:
            time.sleep(0.2)  # until Python has started
            yield Watch([psutil.Process(rank.pid) for rank in ranks], memory, len(places)), ranks
        finally:
            for rank in ranks:
                rank.kill()


def _problem(watch: Watch, waiting: Sequence[int]) -> str | None:
    until = time.monotonic() + 3 * TIMEOUT_S
    problem = None
    while problem is None and time.monotonic() < until:
        time.sleep(0.05)
        watch.look()
        problem = watch.problem(waiting, TIMEOUT_S)
    return problem


@pytest.mark.parametrize(
    ("codes", "places", "waiting", "problem"),
    [
        ([COMPUTES, SLEEPS], (4, 5), [0, 1], None),
        ([COMPUTES, SLEEPS], (4, 4), [0], None),
        ([COMPUTES, SLEEPS], (4, 4), [1], "rank 1 of 2 did not go on, and the others waited"),
        ([SLEEPS, SLEEPS], (4, 5), [0, 1], "rank 0 of 2 did not go on, and the others waited"),
        ([SLEEPS, SLEEPS], (4, 4), [0, 1], "ranks 0 and 1 of 2 did not go on"),
        ([COMPUTES, SLEEPS], (5, 5), [0, 1], "ranks 0 and 1 of 2 waited for each other"),  # as NCCL waits
    ],
)
def test_who_hangs_is_named(codes: Sequence[str], places: Sequence[int], waiting: Sequence[int], problem: str | None) -> None:
    with _watched(codes, places) as (watch, _):
        assert _problem(watch, waiting) == problem


@pytest.mark.parametrize(("n_stopped", "problem"), [(1, "rank 0 of 2 is stopped"), (2, "ranks 0 and 1 of 2 are stopped")])
def test_ranks_that_are_stopped_are_named(n_stopped: int, problem: str) -> None:
    with _watched([COMPUTES, SLEEPS], (4, 5)) as (watch, ranks):
        for rank in ranks[:n_stopped]:
            rank.send_signal(signal.SIGSTOP)
        assert _problem(watch, [0, 1]) == problem

"""Which of the ranks go on, from outside: by how often they have come to an exchange, and by the CPU time that they use."""

import mmap
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

COMPUTES_S = 0.05
COMPUTES_SHARE = 0.02
"""A rank computes if it has used so much CPU time: in seconds, and as a share of the time that has passed.

The threads of one that waits used up to 0.004 of the time, measured over 5 s.
"""
LONGEST_LOOK_S = 5.0
"""What is counted at most from one look to the next: beyond that, this process was stopped itself, perhaps with the ranks."""


@dataclass(frozen=True)
class _Mark:
    """When a rank has gone on the last time."""

    at: float
    place: int
    cpu_s: float


class Watch:
    """Watches ranks while they have something to do.

    A rank within an exchange goes on when that ends; any other one, while it computes or waits for a disk. So one that takes long
    keeps the others waiting and does not hang, and neither do they.
    """

    def __init__(self, processes: Sequence[psutil.Process], places: mmap.mmap, n: int) -> None:
        """processes: of the n ranks, or none where they are not known. places: of `Ranks`."""
        self._processes = processes
        self._places = places
        self._n = n
        self._now = 0.0
        self._looked_at = time.monotonic()
        self._marks = [_Mark(0.0, place, self._cpu_s(rank)) for rank, place in enumerate(self._read())]

    def look(self) -> None:
        """Notice who has gone on. To be called every second or so."""
        before, self._looked_at = self._looked_at, time.monotonic()
        self._now += min(self._looked_at - before, LONGEST_LOOK_S)
        for rank, place in enumerate(self._read()):
            mark = self._marks[rank]
            cpu_s = self._cpu_s(rank)
            computes = cpu_s - mark.cpu_s >= max(COMPUTES_S, COMPUTES_SHARE * (self._now - mark.at)) or self._waits_for_disk(rank)
            if place != mark.place or (computes and not _is_exchanging(place)):
                self._marks[rank] = _Mark(self._now, place, cpu_s)

    def problem(self, waiting: Sequence[int], timeout_s: float) -> str | None:
        """Which of the ranks that are waited for hang, in words, where none of them has gone on for so long; else None."""
        if any(self._now < self._marks[rank].at + timeout_s for rank in waiting):
            return None
        if not self._processes:
            return f"{named(waiting, self._n)} did not begin"
        if (text := stopped(waiting, self._processes)) is not None:
            return text
        last = min(self._marks[rank].place for rank in waiting)
        behind = [rank for rank in waiting if self._marks[rank].place == last]
        if len(behind) < self._n:
            return f"{named(behind, self._n)} did not go on, and the others waited"
        if _is_exchanging(last):
            return f"{named(behind, self._n)} waited for each other"
        return f"{named(behind, self._n)} did not go on"

    def _read(self) -> tuple[int, ...]:
        return struct.unpack(f"{self._n}q", self._places)

    def _cpu_s(self, rank: int) -> float:
        if self._processes:
            with suppress(psutil.Error):  # it has ended, which others notice
                times = self._processes[rank].cpu_times()
                return times.user + times.system
        return 0.0

    def _waits_for_disk(self, rank: int) -> bool:
        return bool(self._processes) and _status(self._processes[rank]) == psutil.STATUS_DISK_SLEEP


def stopped(ranks: Sequence[int], processes: Sequence[psutil.Process]) -> str | None:
    """Which of the ranks signals have stopped, in words; None where there are none. processes: of all ranks."""
    found = [rank for rank in ranks if _status(processes[rank]) == psutil.STATUS_STOPPED]
    return f"{named(found, len(processes))} {'is' if len(found) == 1 else 'are'} stopped" if found else None


def named(ranks: Sequence[int], n: int) -> str:
    """Ranks in words."""
    return f"{'rank' if len(ranks) == 1 else 'ranks'} {' and '.join(map(str, ranks))} of {n}"


def _status(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        return process.status()
    return None


def _is_exchanging(place: int) -> bool:
    return place % 2 == 1

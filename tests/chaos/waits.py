"""For how long an open job made no progress although a worker could have continued it.

Progress of a job is a claim, a new measurement, or the end of a trial. Their times are the database's own, from leases, events
and the write log (stage.py). Of the wait between two of them the time counts in which all of this held:

- the job was open: submitted, not paused, not over;
- the database was available: PostgreSQL ran, and the proxy passed messages on, if slowly;
- a worker with a trial of this job was available; or an idle worker was, while no worker held a trial of this job with only its
  trainer unavailable (such a worker keeps its trial, rightly).

A worker is available while its process runs and is not stopped, from `warm_s` after its registration on. It is unavailable for as
long after its trainer was killed, and after its trainer's first claim of each objective, since what trains that is imported then,
torch with it; and while it has set an objective aside because its disk is full. A worker with a trial of another job does not
count. All of these times are known: the faults are ours, and claims and ends of leases are in the database.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

WORTH_COUNTING_S = 2.0
"""Shorter waits count in full."""


class Interval(NamedTuple):
    """From `begin` up to `end`, in seconds since 1970."""

    begin: float
    end: float

    def holds(self, moment: float) -> bool:
        return self.begin <= moment < self.end


@dataclass(frozen=True, kw_only=True)
class WorkerTimes:
    """When one worker (one run of a process) was available, and which leases it held."""

    life: Interval
    away: Sequence[Interval]
    """When it was unavailable as a whole."""
    trainer_away: Sequence[Interval]
    """When only its trainer was unavailable; it keeps its leases then."""
    leases: Sequence[tuple[Interval, str]]
    """When it held a lease, and of which job."""

    def reached(self, moment: float) -> bool:
        return self.life.holds(moment) and not _in(self.away, moment)

    def trains(self, moment: float) -> bool:
        return self.reached(moment) and not _in(self.trainer_away, moment)

    def job(self, moment: float) -> str | None:
        """The id of the job whose trial it holds."""
        return next((job for held, job in self.leases if held.holds(moment)), None)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What was unavailable when."""

    outages: Sequence[Interval]
    workers: Sequence[WorkerTimes]


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A time without progress."""

    during: Interval
    counted_s: float
    """The part of it in which a worker could have continued the job."""


def longest_wait(job_id: str, open_during: Sequence[Interval], progress: Sequence[float], around: Circumstances) -> Wait | None:
    """The wait of a job with the most seconds that count."""
    waits = [_judge(job_id, during, around) for during in _gaps(open_during, progress)]
    return max(waits, key=lambda wait: wait.counted_s, default=None)


def _gaps(open_during: Sequence[Interval], progress: Sequence[float]) -> Iterator[Interval]:
    moments = sorted(progress)
    for opened in open_during:
        inside = [opened.begin, *(moment for moment in moments if opened.holds(moment)), opened.end]
        for begin, end in pairwise(inside):
            yield Interval(begin, end)


def _judge(job_id: str, during: Interval, around: Circumstances) -> Wait:
    if during.end - during.begin <= WORTH_COUNTING_S:
        return Wait(during=during, counted_s=during.end - during.begin)
    workers = [worker for worker in around.workers if worker.life.begin < during.end and during.begin < worker.life.end]
    edges = {during.begin, during.end}
    for interval in (
        *around.outages,
        *(worker.life for worker in workers),
        *(away for worker in workers for away in (*worker.away, *worker.trainer_away)),
        *(held for worker in workers for held, _ in worker.leases),
    ):
        edges |= {edge for edge in interval if during.holds(edge)}
    ordered = sorted(edges)
    counted_s = sum(
        end - begin for begin, end in pairwise(ordered) if _could_continue(job_id, (begin + end) / 2, around.outages, workers)
    )
    return Wait(during=during, counted_s=counted_s)


def _could_continue(job_id: str, moment: float, outages: Sequence[Interval], workers: Sequence[WorkerTimes]) -> bool:
    if _in(outages, moment):
        return False
    holders = [worker for worker in workers if worker.reached(moment) and worker.job(moment) == job_id]
    if any(worker.trains(moment) for worker in holders):
        return True
    return not holders and any(worker.trains(moment) and worker.job(moment) is None for worker in workers)


def _in(intervals: Sequence[Interval], moment: float) -> bool:
    return any(interval.holds(moment) for interval in intervals)

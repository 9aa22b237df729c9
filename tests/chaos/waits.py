"""For how long an open job stood still although somebody could have gone on with it.

Progress of a job is a claim, a new measurement, or the end of a trial; their times are the database's own, from leases, events
and the witness of measurements (stage.py). The wait between two of them is judged by the time in it at which all of this held:

- the job was open: submitted, not paused, not over;
- the database could be reached: PostgreSQL ran, and the proxy let everybody through (slowly, at most);
- a worker could be reached and was at a trial of this job; or one could that was at no trial, while nobody was at a trial of this
  job with only the trainer out of reach (such a worker holds on to its trial, rightly).

A worker can be reached when its process runs and is not stopped, from `warm_s` after its registration on: its trainer has to
import torch first. The same goes for the time after its trainer was killed, or the worker set an objective aside since its disk
was full. A worker that is at another job's trial is no worker for this one. All of these times are known: faults are done by
us, claims and ends of leases stand in the database.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

WORTH_COUNTING_S = 2.0
"""Shorter waits are taken as they are."""


class Interval(NamedTuple):
    """A time, in seconds since 1970."""

    begin: float
    end: float

    def holds(self, moment: float) -> bool:
        return self.begin <= moment < self.end


@dataclass(frozen=True, kw_only=True)
class WorkerTimes:
    """When one worker (one life of a process) could be reached, and what it was at."""

    life: Interval
    away: Sequence[Interval]
    """When it could not be reached as a whole."""
    trainer_away: Sequence[Interval]
    """When its trainer could not; it holds its leases then."""
    leases: Sequence[tuple[Interval, str]]
    """What it held, and of which job."""

    def reached(self, moment: float) -> bool:
        return self.life.holds(moment) and not _in(self.away, moment)

    def trains(self, moment: float) -> bool:
        return self.reached(moment) and not _in(self.trainer_away, moment)

    def job(self, moment: float) -> str | None:
        """The id of the job at whose trial it is."""
        return next((job for held, job in self.leases if held.holds(moment)), None)


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What was known to be out of reach."""

    outages: Sequence[Interval]
    workers: Sequence[WorkerTimes]


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A time without progress."""

    during: Interval
    counted_s: float
    """The part of it at which somebody could have gone on."""


def longest_wait(job_id: str, open_during: Sequence[Interval], progress: Sequence[float], around: Circumstances) -> Wait | None:
    """The wait of a job with the most counted seconds."""
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
        end - begin for begin, end in pairwise(ordered) if _could_go_on(job_id, (begin + end) / 2, around.outages, workers)
    )
    return Wait(during=during, counted_s=counted_s)


def _could_go_on(job_id: str, moment: float, outages: Sequence[Interval], workers: Sequence[WorkerTimes]) -> bool:
    if _in(outages, moment):
        return False
    at_it = [worker for worker in workers if worker.reached(moment) and worker.job(moment) == job_id]
    if any(worker.trains(moment) for worker in at_it):
        return True
    return not at_it and any(worker.trains(moment) and worker.job(moment) is None for worker in workers)


def _in(intervals: Sequence[Interval], moment: float) -> bool:
    return any(interval.holds(moment) for interval in intervals)

"""The timeline of a run: when each job was open and made progress, and when workers were available."""

import math
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.history import END_EVENTS, Event, History, JobHistory
from tests.chaos.record import Record
from tests.chaos.waits import Circumstances, Interval, Wait, WorkerTimes, longest_wait

FINAL_EVENTS = frozenset({"job.completed", "job.failed", "job.cancelled"})


def waits(history: History, record: Record, warm_s: float, until: float) -> Iterator[tuple[JobHistory, Wait]]:
    """The longest wait of each job. warm_s: what a new trainer may take to its first measurement. until: the end of the run."""
    around = circumstances(history, record, warm_s, until)
    for job in history.jobs:
        wait = longest_wait(job.id, open_during(job, until), progress(job), around)
        if wait is not None:
            yield job, wait


def open_during(job: JobHistory, until: float) -> list[Interval]:
    """The times in which workers may claim its trials."""
    found: list[Interval] = []
    opened: float | None = None
    for event in job.events:
        if event.type in ("job.submitted", "job.resumed") and opened is None:
            opened = event.at
        elif (event.type == "job.paused" or event.type in FINAL_EVENTS) and opened is not None:
            found.append(Interval(opened, event.at))
            opened = None
    return found if opened is None else [*found, Interval(opened, until)]


def progress(job: JobHistory) -> list[float]:
    """The times of its claims, new measurements and ends of trials."""
    moments = [lease.started_at for trial in job.trials for lease in trial.leases]
    for trial in job.trials:
        first = {written.step: written.at for written in reversed(trial.written)}
        moments += first.values()
    return [*moments, *(event.at for event in job.events if event.type in END_EVENTS)]


def circumstances(history: History, record: Record, warm_s: float, until: float) -> Circumstances:
    """What was unavailable when, for the check of the waits."""
    lives = {
        worker.id: Interval(worker.started_at, _end_of_life(history, record, worker.pid, worker.started_at, until))
        for worker in history.workers
    }
    pids = {worker.id: worker.pid for worker in history.workers}
    objectives = {job.id: str(job.spec["objective"]["name"]) for job in history.jobs}
    held: dict[str, list[tuple[Interval, str]]] = {worker_id: [] for worker_id in lives}
    for job in history.jobs:
        for trial in job.trials:
            for lease in trial.leases:
                end = min(lease.released_at or math.inf, lease.ended_at or math.inf, until)
                held[lease.worker_id].append((Interval(lease.started_at, end), job.id))
    trainers_down = {
        worker_id: [down.during for down in record.downs if down.pid == pids[worker_id] and down.trainer] for worker_id in lives
    }
    return Circumstances(
        outages=record.outages,
        workers=[
            WorkerTimes(
                life=life,
                away=[
                    *(down.during for down in record.downs if down.pid == pids[worker_id] and not down.trainer),
                    *_set_aside(history.events, worker_id, until),
                ],
                trainer_away=[
                    Interval(life.begin, life.begin + warm_s),
                    *(Interval(down.begin, down.end + warm_s) for down in trainers_down[worker_id]),
                    *importing(
                        [life.begin, *(down.end for down in trainers_down[worker_id])], held[worker_id], objectives, warm_s
                    ),
                ],
                leases=held[worker_id],
            )
            for worker_id, life in lives.items()
        ],
    )


def importing(
    births: Sequence[float], leases: Sequence[tuple[Interval, str]], objectives: Mapping[str, str], warm_s: float
) -> Iterator[Interval]:
    """When trainers that were born then may still import what trains an objective: with their first trial of it.

    leases: when which job's trial was held. objectives: their names, by job.
    """
    for birth in births:
        known = set()
        for held, job in sorted(leases):
            if held.begin >= birth and objectives[job] not in known:
                known.add(objectives[job])
                yield Interval(held.begin, held.begin + warm_s)


def _end_of_life(history: History, record: Record, pid: int, started_at: float, until: float) -> float:
    """When the process of a worker was killed."""
    killed = [at for killed_pid, at in record.killed if killed_pid == pid and at >= started_at]
    return min(killed, default=until)


def _set_aside(events: Sequence[Event], worker_id: str, until: float) -> Iterator[Interval]:
    """When a worker had set objectives aside."""
    since: float | None = None
    for event in events:
        if event.payload.get("id") != worker_id:
            continue
        if event.type == "worker.set_aside" and since is None:
            since = event.at
        elif event.type == "worker.fit" and since is not None:
            yield Interval(since, event.at)
            since = None
    if since is not None:
        yield Interval(since, until)

"""How many workers one PostgreSQL can serve: 200 worker loops in 8 processes on five jobs, no training.

    python -m benchmarks.scale [--trials 20000] [--loops 200] [--processes 8] [--out benchmarks/results]

Every loop claims, reports and finishes by itself, and sends heartbeats and sweeps as workers do (benchmarks/crowd.py). The loops
of a process share a small pool of connections: all of them wait for the lock on a job, and with more connections they wait
longer. Three loads: trials without any work, which saturate the machine; trials of a few seconds, of which those of the job with
max_parallel end last; and as many loops as processes, which is how workers are deployed. Afterwards every trial is checked: exits
1 when one was done twice or lost.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psutil
import psycopg

from benchmarks.crowd import Done, Share, faults, submit_jobs, taken_over, work
from benchmarks.tables import Table, publish
from service.domain.job import Job
from service.store import migrate
from service.store.embedded import EmbeddedPostgres
from service.store.postgres import Database

LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a crowd is to do."""

    name: str
    processes: int
    loops: int
    """Of all processes together."""
    trials: int
    pool_size: int
    trial_s: float = 0.0


@dataclass
class Seen:
    """What an onlooker saw of the database's sessions."""

    connections: int = 0
    """Most at once."""
    waits: Counter[str] = field(default_factory=Counter)
    """What sessions in a transaction were at, look by look."""
    server_cpu_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One load, carried."""

    load: Load
    jobs: list[Job]
    done: Done
    seen: Seen
    seconds: float
    busy_before: float
    """Processes that wanted to run in the minute before: the machine's load average."""
    faults: dict[UUID, list[str]]
    taken_over: dict[UUID, int]


def carry(load: Load) -> Outcome:
    """Put a load on a new database, and look afterwards whether all is there."""
    busy_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="stride-scale-") as folder, EmbeddedPostgres.start(Path(folder) / "data") as server:
        database = Database(server.url)
        migrate.upgrade(database)
        jobs = submit_jobs(database, load.trials)
        done = Done()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["benchmarks.crowd"])
        with ProcessPoolExecutor(load.processes, mp_context=context) as pool, watching(server) as seen:
            started = time.monotonic()
            for part in pool.map(work, _shares(load, server.url)):
                done.add(part)
            seconds = time.monotonic() - started
        with database.transaction(timeout_s=60) as conn:
            wrong = faults(conn, jobs, done.finished)
            again = {job.id: taken_over(conn, job) for job in jobs}
        database.close()
    return Outcome(
        load=load,
        jobs=jobs,
        done=done,
        seen=seen,
        seconds=seconds,
        busy_before=busy_before,
        faults=wrong,
        taken_over=again,
    )


def _shares(load: Load, url: str) -> list[Share]:
    each, more = divmod(load.loops, load.processes)
    return [
        Share(url=url, loops=each + (index < more), pool_size=load.pool_size, trial_s=load.trial_s)
        for index in range(load.processes)
    ]


@contextmanager
def watching(server: EmbeddedPostgres) -> Iterator[Seen]:
    """Looks at the server's sessions every now and then, on a connection of its own."""
    seen, over = Seen(), threading.Event()
    cpu: dict[int, float] = {}

    def look() -> None:
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as conn:
            while not over.wait(LOOK_S):
                sessions = conn.execute(
                    "SELECT state, wait_event_type, wait_event FROM pg_stat_activity WHERE application_name = 'stride'"
                ).fetchall()
                seen.connections = max(seen.connections, len(sessions) - 1)  # without the one that prepared it all
                seen.waits.update(_at(*session) for session in sessions if session[0] != "idle")
                for process in psutil.Process(server.pid).children(recursive=True):
                    with suppress(psutil.Error):
                        times = process.cpu_times()
                        cpu[process.pid] = times.user + times.system
        seen.server_cpu_s = sum(cpu.values())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _at(state: str, kind: str | None, event: str | None) -> str:
    if state == "idle in transaction":
        return "its client's next statement"
    if kind == "Lock":
        return "a row's lock"
    if kind is None:
        return "nothing: at work, or wants to be"
    return f"{kind}: {event}"


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share of `values` does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _ms(values: list[float]) -> str:
    return f"{1000 * statistics.median(values):.0f} / {1000 * quantile(values, 0.99):.0f}"


def tables(outcomes: list[Outcome]) -> list[Table]:
    """What the loads came to."""
    throughput = Table(
        "Five jobs on one embedded PostgreSQL; claim, report and finish: p50 / p99 in ms",
        [
            "load",
            "processes",
            "loops",
            "trials",
            "seconds",
            "trials/s",
            "first and last quarter",
            "claim",
            "report",
            "finish",
            "machine's load before",
        ],
    )
    connections = Table(
        "Connections (one of those counted is the benchmark's own), and what they are kept waiting for",
        ["load", "most at once", "a process", "a loop", "opened in all", "pool busy or database away, waited out"],
    )
    costs = Table(
        "What limits it",
        ["load", "CPU of PostgreSQL, s", "CPU of the loops, s", "of the cores' time", "sessions in a transaction wait for"],
    )
    checks = Table(
        "Every trial once", ["load", "job", "trials", "finished", "found twice, lost or otherwise wrong", "leases taken over"]
    )
    for outcome in outcomes:
        load, done, seen = outcome.load, outcome.done, outcome.seen
        throughput.add(
            load.name,
            str(load.processes),
            str(load.loops),
            f"{load.trials:,}",
            f"{outcome.seconds:.0f}",
            f"{load.trials / outcome.seconds:.0f}",
            " and ".join(f"{rate:.0f}/s" for rate in _quarters(done)),
            _ms([took for _, took in done.claims]),
            _ms(done.reports),
            _ms(done.finishes),
            f"{outcome.busy_before:.1f}",
        )
        connections.add(
            load.name,
            str(seen.connections),
            str(done.connections),
            f"{seen.connections / load.loops:.2f}",
            str(done.connected),
            ", ".join(f"{count} x {text}" for text, count in done.unavailable.items()) or "never",
        )
        cpu_s = seen.server_cpu_s + done.cpu_s
        costs.add(
            load.name,
            f"{seen.server_cpu_s:.0f}",
            f"{done.cpu_s:.0f}",
            f"{cpu_s / outcome.seconds / (os.cpu_count() or 1):.0%}",
            ", ".join(f"{what} {count / seen.waits.total():.0%}" for what, count in seen.waits.most_common(5)),
        )
        for job in outcome.jobs:
            strategy = "-".join(str(part) for part in job.spec.strategy.model_dump().values())
            checks.add(
                load.name,
                strategy if job.spec.max_parallel is None else f"{strategy}, max_parallel {job.spec.max_parallel}",
                f"{job.spec.budget.trials:,}",
                f"{sum(job_id == job.id for job_id, _ in done.finished):,}",
                "; ".join(outcome.faults[job.id]) or "nothing",
                str(outcome.taken_over[job.id]),
            )
    return [throughput, connections, costs, checks]


def _quarters(done: Done) -> tuple[float, float]:
    """Trials a second over the first and the last quarter of the claims: whether it slows down as the tables grow."""
    moments = sorted(moment for moment, _ in done.claims)
    quarter = len(moments) // 4
    return quarter / (moments[quarter] - moments[0]), quarter / (moments[-1] - moments[-1 - quarter])


def loads(processes: int = 8, loops: int = 200, trials: int = 20_000, pool_size: int = 2) -> list[Load]:
    """The three loads."""
    few = max(50, trials // 10)
    return [
        Load(name="no work", processes=processes, loops=loops, trials=trials, pool_size=pool_size),
        Load(name="trials of 4 s", processes=processes, loops=loops, trials=few, pool_size=pool_size, trial_s=4.0),
        Load(name="one loop a process", processes=processes, loops=processes, trials=few, pool_size=pool_size),
    ]


def run_scale(chosen: list[Load], folder: Path | None) -> int:
    """Carry the loads and publish what they came to; returns how many jobs something is wrong with."""
    outcomes = [carry(load) for load in chosen]
    publish("scale", tables(outcomes), 1, folder)
    return sum(bool(found) for outcome in outcomes for found in outcome.faults.values())


def prove(out: Path) -> int:
    """Carry the three loads, for `make prove`; returns how many jobs something is wrong with."""
    return run_scale(loads(), out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--loops", type=int, default=200, help="worker loops in all processes together")
    parser.add_argument("--trials", type=int, default=20_000, help="of five jobs together")
    parser.add_argument("--pool-size", type=int, default=2, help="connections that a process keeps; twice as many for a moment")
    parser.add_argument("--only", type=int, choices=[0, 1, 2], help="one of the three loads")
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    chosen = loads(arguments.processes, arguments.loops, arguments.trials, arguments.pool_size)
    if arguments.only is not None:
        chosen = [chosen[arguments.only]]
    broken = run_scale(chosen, arguments.out)
    if broken:
        sys.exit(f"Something is wrong with {broken} jobs.")


if __name__ == "__main__":
    main()

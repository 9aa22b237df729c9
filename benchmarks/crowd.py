"""Many worker loops on one database: each runs no-op trials, and sends heartbeats and sweeps as workers do.

`work` runs the loops of one process, `faults` looks afterwards whether anything was done twice or lost.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa

from benchmarks.jobs import spec_of
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed
from service.dispatch.renew import report
from service.dispatch.submit import submit
from service.dispatch.sweeper import sweep, tidy_up
from service.domain.job import Job
from service.domain.lease import Outcome
from service.domain.measurement import Measurement
from service.errors import DatabaseUnavailable, LeaseLost
from service.store import leases, trial_reader, workers
from service.store.postgres import Database

OBJECTIVE = "no-op"
LEASE_S, HEARTBEAT_S, SWEEP_S, TIDY_S = 30.0, 10.0, 2.0, 10.0
"""The service's own defaults."""
SHORTEST_POLL_S, LONGEST_POLL_S = 0.05, 1.0
RETRY_S = 0.5
"""Pause before a database that did not answer is asked again."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Share:
    """One process's part of a crowd."""

    url: str
    loops: int
    pool_size: int
    trial_s: float = 0.0
    """How long a trial "trains": the loop sleeps between claim and report."""


@dataclass
class Done:
    """What the loops of one process, or of all, have done; times in seconds."""

    finished: list[tuple[UUID, int]] = field(default_factory=list)
    """Job and number of every trial whose result was accepted."""
    claims: list[tuple[float, float]] = field(default_factory=list)
    """When each claim that brought a trial was answered, by the clock of the machine, and how long it took."""
    reports: list[float] = field(default_factory=list)
    finishes: list[float] = field(default_factory=list)
    unavailable: Counter[str] = field(default_factory=Counter)
    """Each DatabaseUnavailable, by its text: waited out and asked again, as a worker does it."""
    lost: int = 0
    """Trials whose lease somebody else had ended."""
    cpu_s: float = 0.0
    connections: int = 0
    """Most that were open at once."""
    connected: int = 0
    """How many were opened."""

    def add(self, other: "Done") -> None:
        """Take over what `other` has done; of connections the largest number of any process."""
        self.finished += other.finished
        self.claims += other.claims
        self.reports += other.reports
        self.finishes += other.finishes
        self.unavailable += other.unavailable
        self.lost += other.lost
        self.cpu_s += other.cpu_s
        self.connections = max(self.connections, other.connections)
        self.connected += other.connected


def submit_jobs(database: Database, trials: int) -> list[Job]:
    """Five jobs of one priority with `trials` trials between them, from half of all down to a hundredth."""
    space = {
        "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 200},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99, "points": 100},
    }
    tpe = max(1, trials // 100)
    documents: list[dict[str, Any]] = [
        {"strategy": "grid", "budget": {"trials": trials // 4}},
        {"strategy": "random", "budget": {"trials": trials // 7}, "max_parallel": 16},
        {"strategy": "random", "budget": {"trials": trials // 10, "confirm": min(100, trials // 20)}},
        {"strategy": "bayesian", "budget": {"trials": tpe}},
    ]
    rest = trials - sum(document["budget"]["trials"] for document in documents)
    documents.insert(0, {"strategy": "random", "budget": {"trials": rest}})
    common = {"objective": {"name": OBJECTIVE}, "search_space": space, "metric": "loss"}
    specs = [spec_of(common | document) for document in documents]
    return [database.transact(lambda conn, spec=spec: submit(conn, spec))[0] for spec in specs]  # type: ignore[misc]


def work(share: Share) -> Done:
    """Run the loops of one process, which share one pool of connections, until no job is open."""
    done, lock = Done(), threading.Lock()
    started = time.process_time()
    with _connections_counted() as connections:
        database = Database(share.url, pool_size=share.pool_size)

        def run(_: int) -> None:
            loop = _Loop(database, share.trial_s)
            loop.run()
            with lock:
                done.add(loop.done)

        with ThreadPoolExecutor(share.loops) as pool:
            list(pool.map(run, range(share.loops)))
        database.close()
    done.connections, done.connected = connections.most, connections.opened
    done.cpu_s = time.process_time() - started
    return done


class _Loop:
    """One worker's loop, without the trainer."""

    def __init__(self, database: Database, trial_s: float) -> None:
        self.done = Done()
        self._database = database
        self._trial_s = trial_s
        self._id = uuid4()
        self._claimer = Claimer(database, self._id, [OBJECTIVE], LEASE_S)
        self._seen_at = self._swept_at = self._tidied_at = time.monotonic() - random.uniform(0, SWEEP_S)

    def run(self) -> None:
        self._insist(lambda: self._database.transact(self._register))
        pause_s = SHORTEST_POLL_S
        while True:
            self._insist(self._maintain)
            claim = self._claim()
            if claim is not None:
                pause_s = SHORTEST_POLL_S
                self._run_trial(claim)
            elif self._insist(lambda: self._database.transact(_is_over)):
                return
            else:
                time.sleep(random.uniform(0.5, 1.0) * pause_s)
                pause_s = min(2 * pause_s, LONGEST_POLL_S)

    def _claim(self) -> Claim | None:
        token = uuid4()
        started = time.monotonic()
        try:
            claim = self._claimer.claim(token)
        except DatabaseUnavailable as error:
            self._waited_out(error)
            claim = self._insist(lambda: self._claimer.reclaim(token))
        if claim is not None:
            self.done.claims.append((time.time(), time.monotonic() - started))
        return claim

    def _run_trial(self, claim: Claim) -> None:
        rate = float(claim.params["learning_rate"])
        time.sleep(self._trial_s)
        item = Measurement(
            step=1, fraction=1.0, in_warmup=False, metrics={"loss": rate}, learning_rate=rate, seconds=self._trial_s
        )

        def send_report(conn: sa.Connection) -> None:
            report(conn, claim.job, claim.lease, [item], lease_s=LEASE_S)

        def send_result(conn: sa.Connection) -> None:
            finish(conn, claim.lease, Completed(value=rate), lease_s=LEASE_S)

        try:
            self._timed(self.done.reports, send_report)
            self._timed(self.done.finishes, send_result)
        except LeaseLost:
            # After a lost reply the lease has ended because the finish took place.
            found = self._insist(lambda: self._database.transact(lambda conn: leases.by_token(conn, claim.lease.token)))
            if found is None or found[1] is not Outcome.FINISHED:
                self.done.lost += 1
                return
        self.done.finished.append((claim.job.id, claim.lease.number))

    def _timed(self, times: list[float], send: Callable[[sa.Connection], None]) -> None:
        started = time.monotonic()
        self._insist(lambda: self._database.transact(send))
        times.append(time.monotonic() - started)

    def _insist(self, ask: Callable[[], T]) -> T:
        """Ask until the database answers, or until one of the process's connections is free."""
        while True:
            try:
                return ask()
            except DatabaseUnavailable as error:
                self._waited_out(error)

    def _waited_out(self, error: DatabaseUnavailable) -> None:
        self.done.unavailable[str(error)] += 1
        time.sleep(RETRY_S)

    def _register(self, conn: sa.Connection) -> None:
        workers.register(conn, self._id, name="crowd", objectives=[OBJECTIVE], device="cpu", version="0", lost_after_s=LEASE_S)

    def _maintain(self) -> None:
        now = time.monotonic()
        if now - self._seen_at >= HEARTBEAT_S:
            self._database.transact(lambda conn: workers.seen(conn, self._id))
            self._seen_at = now
        if now - self._swept_at >= SWEEP_S * random.uniform(0.8, 1.2):
            sweep(self._database)
            self._swept_at = now
        if now - self._tidied_at >= TIDY_S * random.uniform(0.8, 1.2):
            tidy_up(self._database)
            self._tidied_at = now


def _is_over(conn: sa.Connection) -> bool:
    query = "SELECT FROM stride.jobs WHERE state IN ('queued', 'running') LIMIT 1"
    return conn.exec_driver_sql(query).one_or_none() is None


def taken_over(conn: sa.Connection, job: Job) -> int:
    """How many leases of a job ran out and were taken over. No fault: only the result of the last attempt counts."""
    statement = "SELECT count(*) FROM stride.leases WHERE job_id = %(job)s AND outcome <> 'finished'"
    count: int = conn.exec_driver_sql(statement, {"job": job.id}).scalar_one()
    return count


@dataclass
class _Connections:
    open: int = 0
    most: int = 0
    opened: int = 0


@contextmanager
def _connections_counted() -> Iterator[_Connections]:
    """Counts this process's connections, at the pool."""
    counted, lock = _Connections(), threading.Lock()

    def opened(*_: object) -> None:
        with lock:
            counted.opened += 1
            counted.open += 1
            counted.most = max(counted.most, counted.open)

    def closed(*_: object) -> None:
        with lock:
            counted.open -= 1

    listeners = (("connect", opened), ("close", closed), ("close_detached", closed))
    for event, listener in listeners:
        sa.event.listen(sa.pool.Pool, event, listener)
    try:
        yield counted
    finally:
        for event, listener in listeners:
            sa.event.remove(sa.pool.Pool, event, listener)


def faults(conn: sa.Connection, jobs: Sequence[Job], finished: Sequence[tuple[UUID, int]]) -> dict[UUID, list[str]]:
    """What is wrong with each job after all have ended: nothing, if every trial was done once and none was lost.

    finished: job and number of every trial whose result was accepted, as the loops tell it.
    """
    told: dict[UUID, list[int]] = {job.id: [] for job in jobs}
    for job_id, number in finished:
        told[job_id].append(number)
    return {job.id: list(_faults(conn, job, told[job.id])) for job in jobs}


def _faults(conn: sa.Connection, job: Job, told: list[int]) -> Iterator[str]:
    assert job.spec.budget.trials is not None
    planned = job.spec.budget.trials
    numbers = list(range(planned))
    ids: Mapping[str, object] = {"job": job.id, "study": job.study_id}

    def column(statement: str) -> list[Any]:
        return list(conn.exec_driver_sql(statement, ids).scalars())

    if sorted(told) != numbers:
        yield f"{planned} trials were planned, the loops finished {len(told)}, {len(set(told))} different ones"
    if column("SELECT state FROM stride.jobs WHERE id = %(job)s") != ["completed"]:
        yield "the job is not completed"
    if column("SELECT number FROM optuna.trials WHERE study_id = %(study)s ORDER BY number") != numbers:
        yield "the numbers of its trials are not 0 to n-1"
    counts = trial_reader.counts(conn, [job.study_id])[job.study_id]
    if (counts.complete, counts.total) != (planned, planned):
        yield f"its progress says {counts}"
    trials = "SELECT trial_id FROM optuna.trials WHERE study_id = %(study)s ORDER BY trial_id"
    leased = "SELECT trial_id FROM stride.leases WHERE job_id = %(job)s AND {} ORDER BY trial_id"
    if column(leased.format("outcome = 'finished'")) != column(trials):
        yield "not every trial has exactly one lease that ended as finished"
    if column(leased.format("ended_at IS NULL")):
        yield "a lease is open"
    for event in ("trial.started", "trial.completed"):
        statement = f"SELECT (payload ->> 'trial')::int FROM stride.events WHERE job_id = %(job)s AND type = '{event}' ORDER BY 1"
        if column(statement) != numbers:
            yield f"not every trial has exactly one event {event}"
    events = column("SELECT seq FROM stride.events WHERE job_id = %(job)s ORDER BY seq")
    if events != list(range(1, len(events) + 1)):
        yield "its events are not numbered 1 to n"
    for table in ("stride.measurements", "optuna.trial_values", "optuna.trial_intermediate_values"):
        if column(f"SELECT trial_id FROM {table} WHERE trial_id IN ({trials}) ORDER BY trial_id") != column(trials):
            yield f"not every trial has exactly one row in {table}"
    points = "SELECT array_agg(param_value ORDER BY param_name) FROM optuna.trial_params JOIN optuna.trials USING (trial_id)"
    again = "SELECT trial_id FROM optuna.trial_system_attributes WHERE key = 'stride:candidate'"
    found = column(f"{points} WHERE study_id = %(study)s AND trial_id NOT IN ({again}) GROUP BY trial_id")
    if len({tuple(point) for point in found}) != planned - (job.spec.budget.confirm or 0):
        yield "two of its trials have the same parameters"

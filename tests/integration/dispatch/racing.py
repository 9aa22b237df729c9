"""Everything that may happen to a trial, concurrently: what threads of several processes do to the same few jobs."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import optuna
import sqlalchemy as sa

from service.dispatch import checkpointing, lifecycle, takeover
from service.dispatch.attempt import Claim
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.dispatch.renew import report, should_prune
from service.dispatch.sweeper import sweep, tidy_up
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.strategy import NoPruner
from service.domain.trial import TrialError
from service.errors import IllegalMove, JobNotFound, LeaseLost
from service.store import jobs, leases
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import claimer_of
from tests.processes import wait_for_the_others
from tests.stock_optuna import stock

WORKERS, OPEN_JOBS, STEPS = 4, 3, 4
MOST_S, LOOK_S = 60.0, 0.2
RESULTS: tuple[Result, ...] = (
    Completed(value=1.0),
    Completed(value=0.05),
    Infeasible(step=1, fraction=0.25, evidence="loss became inf"),
    Pruned(value=1.0, step=1),
    Failed(error=TrialError(type="RuntimeError", message="told to fail")),
)
MOVES: tuple[Callable[[sa.Connection, UUID], None], ...] = (
    *(lifecycle.pause, lifecycle.resume, lifecycle.resume) * 4,
    lifecycle.cancel,
    lifecycle.delete,
)


def race(url: str, seed: int, seconds: float, must_happen: frozenset[str]) -> Counter[str]:
    """What one process does: several workers, a user, a sweeper and a foreign script. Returns how often each thing was done.

    It runs until all of `must_happen` were written as events, and for at least so many seconds: on a busy machine less happens.
    """
    takeover.ABANDONED_AFTER_S = 0.1  # type: ignore[misc]
    database = Database(url, pool_size=WORKERS + 3)
    done: Counter[str] = Counter()
    claims: list[Claim] = []
    roles = [*[_work] * WORKERS, _use, _maintain, _script]
    wait_for_the_others()
    over = threading.Event()
    with ThreadPoolExecutor(len(roles)) as pool:
        running = [
            pool.submit(_repeat, role, over, database, random.Random(f"{seed} {number}"), done, claims)
            for number, role in enumerate(roles)
        ]
        seen = _wait_until_seen(database, running, seconds, must_happen)
        over.set()
        for future in running:
            future.result()
    database.close()
    return done + Counter(f"event {event}" for event in seen)


def _wait_until_seen(
    database: Database, running: Sequence[Future[None]], seconds: float, must_happen: frozenset[str]
) -> frozenset[str]:
    """The types of events seen, those of deleted jobs included; after a minute some of `must_happen` may be missing."""
    began, seen = time.monotonic(), frozenset[str]()
    while (elapsed := time.monotonic() - began) < seconds or (elapsed < MOST_S and not seen >= must_happen):
        if any(future.done() for future in running):
            break  # it raised
        with database.transaction() as conn:
            seen |= set(conn.exec_driver_sql("SELECT DISTINCT type FROM stride.events").scalars())
        time.sleep(LOOK_S)
    return seen


_counting = threading.Lock()


def _repeat(
    role: Callable[[Database, random.Random, list[Claim]], str],
    over: threading.Event,
    database: Database,
    rng: random.Random,
    done: Counter[str],
    claims: list[Claim],
) -> None:
    while not over.is_set():
        try:
            what = role(database, rng, claims)
        except (LeaseLost, JobNotFound, IllegalMove) as error:
            what = type(error).__name__
        with _counting:
            done[what] += 1


def _work(database: Database, rng: random.Random, claims: list[Claim]) -> str:
    """One attempt at a trial, by a worker that may end it in any way, or stop reporting; or an old one that comes back."""
    lease_s = rng.choice((0.02, 0.1, 1.0))
    claimer = claimer_of(database, lease_s)
    claim = claimer.claim(uuid4())
    if claim is None or rng.random() < 0.1:
        claim = rng.choice(claims[-20:]) if claims else claim
    if claim is None:
        time.sleep(0.005)
        return "nothing to claim"
    claims.append(claim)
    job, lease = claim.job, claim.lease
    for step in range(1, rng.randint(1, STEPS + 1)):
        item = measurement(step, 1.0 / step)
        if rng.random() < 0.5:
            database.transact(lambda conn, item=item: report(conn, job, lease, [item], lease_s=lease_s))  # type: ignore[misc]
        else:
            taken = _checkpoint(step, Kind.STATE)
            database.transact(
                lambda conn, item=item, taken=taken: checkpointing.save(conn, claim, taken, [item], lease_s=lease_s)  # type: ignore[misc]
            )
        if not isinstance(job.spec.pruner, NoPruner):
            should_prune(database, claimer.cache, job, lease)
        time.sleep(rng.choice((0.0, 0.0, 0.03)))
    match rng.randrange(8):
        case 0:
            return "stopped reporting"
        case 1:
            database.transact(lambda conn: leases.release(conn, lease, "its worker stops"))
            return "released"
        case 2 | 3:
            claimer.retry(claim, uuid4(), "killed", "", [measurement(1, 1.0)] if rng.random() < 0.3 else [])
            return "retried"
        case 4:
            database.transact(lambda conn: checkpointing.note_failed(conn, claim, 1, "no space left"))
            return "could not checkpoint"
    result = rng.choice(RESULTS)
    if isinstance(result, Completed):
        database.transact(lambda conn: checkpointing.save_model(conn, claim, _checkpoint(STEPS, Kind.MODEL)))
    database.transact(lambda conn: finish(conn, lease, result, lease_s=lease_s, measurements=[measurement(1, 1.0)]))
    return "finished"


def _use(database: Database, rng: random.Random, claims: list[Claim]) -> str:
    """A user, who submits jobs and pauses, resumes, cancels and deletes them."""
    time.sleep(rng.uniform(0.0, 0.05))
    known = _jobs(database, "finished_at IS NULL")
    if len(known) < OPEN_JOBS:
        submit_job(database, **_document(rng))
        return "submitted"
    move = rng.choice(MOVES)
    if move is lifecycle.delete:
        known = _jobs(database, "finished_at IS NOT NULL")[2:]
    if known:
        job_id = rng.choice(known)
        database.transact(lambda conn: move(conn, job_id))
    return move.__name__


def _maintain(database: Database, rng: random.Random, claims: list[Claim]) -> str:
    """A sweeper."""
    time.sleep(rng.uniform(0.0, 0.02))
    if rng.random() < 0.7:
        sweep(database)
        return "swept"
    tidy_up(database)
    return "tidied up"


def _script(database: Database, rng: random.Random, claims: list[Claim]) -> str:
    """A user's own script on the study."""
    time.sleep(rng.uniform(0.0, 0.5))
    known = _jobs(database, "finished_at IS NULL")
    if not known:
        return "no study"
    job = database.transact(lambda conn: jobs.get(conn, rng.choice(known)))
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        with suppress(KeyError):  # deleted meanwhile
            study = optuna.load_study(study_name=job.study_name, storage=storage)
            study.enqueue_trial({"learning_rate": 0.01})
    return "enqueued"


def _document(rng: random.Random) -> dict[str, Any]:
    return {
        "strategy": rng.choice(("random", "random", "grid", "bayesian")),
        "pruner": rng.choice(({"type": "none"}, {"type": "successive_halving"})),
        "budget": {
            "trials": rng.randint(3, 10),
            "failures": 2,
            "target": rng.choice((None, None, 0.1)),
            "seconds": rng.choice((None, None, 0.5)),
        },
        "max_parallel": rng.choice((None, 2)),
        "max_attempts": 2,
        "replicates": rng.choice((1, 1, 2)),
        "seed": rng.randrange(1_000),
    }


def _checkpoint(step: int, kind: Kind) -> Checkpoint:
    content = f"{kind} {step}".encode()
    return Checkpoint(kind=kind, step=step, size=len(content), sha256=sha256(content).digest(), content=content, path=None)


def _jobs(database: Database, condition: str) -> list[UUID]:
    with database.transaction() as conn:
        return list(conn.exec_driver_sql(f"SELECT id FROM stride.jobs WHERE {condition} ORDER BY created_at DESC").scalars())

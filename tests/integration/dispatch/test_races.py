"""Cancel, pause, resume, delete, claim, report, checkpoint, finish, takeover, retry and sweep against each other on the same
trials: no deadlocks, and no impossible history."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, pairwise
from uuid import uuid4

import psycopg
import sqlalchemy as sa

from service.dispatch import lifecycle
from service.domain.job import FINAL, MOVES, JobState
from service.store import jobs, leases
from service.store.postgres import Database
from tests.chaos import verify
from tests.chaos.history import END_EVENTS, JobHistory, Trial, read_history
from tests.chaos.stage import WITNESS
from tests.factories import submit_job
from tests.integration.dispatch.racing import race
from tests.integration.dispatch.training import claimed, claimer_of
from tests.polling import wait_until, wait_until_somebody_waits_for_a_lock
from tests.processes import at_once

PROCESSES, SECONDS, SEED = 3, 6.0, 1
STARTED_BY = {
    "job.started": (JobState.QUEUED, JobState.RUNNING),
    "job.paused": (None, JobState.PAUSED),
    "job.completed": (JobState.RUNNING, JobState.COMPLETED),
    "job.failed": (JobState.RUNNING, JobState.FAILED),
    "job.cancelled": (None, JobState.CANCELLED),
}
"""Events and the move that each records."""
MUST_HAPPEN = frozenset({"job.paused", "job.resumed", "job.cancelled", "job.completed", "lease.taken_over", "trainer.died"})
ONLY_WHILE_RUNNING = frozenset({"trial.started", "lease.taken_over", "trainer.died", "job.completed", "job.failed"})


def test_everything_at_once_neither_deadlocks_nor_leaves_an_impossible_history(database_url: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as conn:
        conn.execute(WITNESS)
        # More of them meet, and deadlocks are found sooner.
        conn.execute(f"ALTER DATABASE {conn.info.dbname} SET synchronous_commit = off")
        conn.execute(f"ALTER DATABASE {conn.info.dbname} SET deadlock_timeout = '50ms'")
    done = sum(at_once([(race, (database_url, SEED + number, SECONDS, MUST_HAPPEN)) for number in range(PROCESSES)]), Counter())
    print(done)
    _end_what_is_open(database_url)
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as conn:
        # All writers have disconnected, which flushes their statistics.
        (deadlocks,) = conn.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone() or ()
        history = read_history(conn)
        failures = dict(conn.execute("SELECT id::text, failures_in_a_row FROM stride.jobs").fetchall())
    found = [found for job in history.jobs for found in impossible(job, failures[job.id])]
    print(*found, sep="\n")
    assert not found
    assert deadlocks == 0
    assert {event for event in MUST_HAPPEN if not done[f"event {event}"]} == set(), "they did not meet"
    assert done["LeaseLost"] > 0


def test_a_claim_never_holds_two_jobs(database: Database) -> None:
    """Two claims that do would wait for each other."""
    held, wanted = submit_job(database, budget={"trials": 1}), submit_job(database)
    lease = claimed(claimer_of(database, lease_s=0.001)).lease
    assert lease.job_id == held.id
    wait_until(lambda: database.transact(_is_expired), "the end of the lease")
    with ThreadPoolExecutor(1) as pool, database.transaction() as reporting, database.transaction() as user:
        leases.hold(reporting, lease)  # so that its takeover finds nothing
        jobs.lock(user, wanted.id)
        claiming = pool.submit(claimer_of(database).claim, uuid4())
        wait_until_somebody_waits_for_a_lock(database)
        with database.transaction() as conn:
            row = "SELECT FROM stride.jobs WHERE id = %(id)s FOR NO KEY UPDATE SKIP LOCKED"
            is_free = conn.exec_driver_sql(row, {"id": held.id}).one_or_none() is not None
    claim = claiming.result(30)
    assert claim is not None
    assert claim.job.id == wanted.id
    assert is_free, "the claim waits for one job and holds another"


def _is_expired(conn: sa.Connection) -> bool:
    return conn.exec_driver_sql("SELECT FROM stride.leases WHERE expires_at < clock_timestamp()").one_or_none() is not None


def impossible(job: JobHistory, failures: int) -> Iterator[str]:
    """What is impossible in the history of a job that is over. failures: in a row, as its row counts them."""
    yield from chain(verify.lost_events(job), verify.open_leases(job), verify.broken_curves(job), _moves(job))
    if [trial.number for trial in job.trials] != list(range(len(job.trials))):
        yield f"{job.id} has the trials {[trial.number for trial in job.trials]}"
    counted = 0
    for event in job.events:
        if event.type in END_EVENTS:
            counted = counted + 1 if event.type == "trial.failed" else 0
    if counted != failures:
        yield f"{job.id} counts {failures} failures in a row, its events {counted}"
    for trial in job.trials:
        yield from (f"{job.id}, trial {trial.number}: {what}" for what in _life(job, trial))
    most = job.spec["max_parallel"]
    if most is not None and _most_at_once(job) > most:
        yield f"{job.id} had {_most_at_once(job)} attempts at once, allowed are {most}"


def _moves(job: JobHistory) -> Iterator[str]:
    """Moves that do not exist, and events in a state in which they cannot happen."""
    state, started = JobState.QUEUED, False
    for event in job.events:
        if state in FINAL:
            yield f"{job.id}: {event.type} after it was {state}"
        if event.type in ONLY_WHILE_RUNNING and state is not JobState.RUNNING:
            yield f"{job.id}: {event.type} while it was {state}"
        if event.type == "job.resumed":
            to = JobState.RUNNING if started else JobState.QUEUED
            came_from = JobState.PAUSED
        elif event.type in STARTED_BY:
            only_from, to = STARTED_BY[event.type]
            came_from = only_from or state
        else:
            continue
        if state is not came_from or to not in MOVES[state]:
            yield f"{job.id}: {event.type} while it was {state}"
        state, started = to, started or to is JobState.RUNNING
    if job.state != state:
        yield f"{job.id} is {job.state}, its events say {state}"


def _life(job: JobHistory, trial: Trial) -> Iterator[str]:
    events = Counter(event.type for event in job.events_of(trial))
    ends = sum(events[end] for end in END_EVENTS)
    outcomes = [lease.outcome for lease in trial.leases]
    counted = Counter(outcomes)
    stopped = "stopped_by" in trial.user_attrs
    if trial.state == "WAITING" and not outcomes:
        return  # the foreign script came when the job was over
    if trial.state in ("RUNNING", "WAITING"):
        yield f"is {trial.state}, though its job is over"
    if (ends, stopped) not in ((1, False), (0, True)):
        yield f"has {ends} ends, {'and' if stopped else 'not'} stopped"
    if events["trial.started"] != bool(outcomes):
        yield f"was started {events['trial.started']} times, leases {outcomes}"
    if set(outcomes[:-1]) & {"finished", "stopped"}:
        yield f"went on after its end: {outcomes}"
    if counted["trainer_died"] != events["trainer.died"]:
        yield f"events of {events['trainer.died']} dead trainers, leases {outcomes}"
    if counted["vanished"] + counted["released"] != events["lease.taken_over"]:
        yield f"events of {events['lease.taken_over']} takeovers, leases {outcomes}"
    for before, after in pairwise(trial.leases):
        if before.ended_at is None or after.started_at < before.ended_at:
            yield f"attempt {after.attempt} began before the one before it had ended"


def _most_at_once(job: JobHistory) -> int:
    """Open leases at the fullest moment. What ends in a transaction ends before what begins in it."""
    changes = [(lease.started_at, 1) for trial in job.trials for lease in trial.leases]
    changes += [(lease.ended_at or lease.started_at, -1) for trial in job.trials for lease in trial.leases]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _end_what_is_open(url: str) -> None:
    database = Database(url)
    with database.transaction() as conn:
        still_open = list(conn.exec_driver_sql("SELECT id FROM stride.jobs WHERE finished_at IS NULL").scalars())
    for job_id in still_open:
        database.transact(partial(lifecycle.cancel, job_id=job_id))
    database.close()

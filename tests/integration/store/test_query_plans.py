"""What the statements of claim, report, finish, sweep and lists cost at 100,000 trials: each finds its rows by an index.

Nothing is listed here: every statement that dispatch or a list really sends is explained as it is sent, with its own parameters
and in its own transaction, just before it runs. The indexes that a query file names after "Needs" must be the ones that its plan
uses.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.dispatch.renew import report, should_prune
from service.dispatch.sweeper import sweep, tidy_up
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.job import JobState
from service.domain.trial import TrialError
from service.store import checkpoints, events, jobs, leases, measurements, objectives, queries, workers
from service.store.postgres import Database
from tests.conftest import execute
from tests.databases import connection_url
from tests.factories import measurement
from tests.integration.dispatch.test_announce import offering, version
from tests.integration.dispatch.training import LEASE_S, claimed, conclude, state_of
from tests.integration.store.crowd import fill, open_job
from tests.integration.store.plans import Plans, plans_collected
from tests.polling import wait_until
from tests.quadratic import QUADRATIC

# A database that has seen much


@pytest.fixture(scope="module")
def crowded(postgres_url: str, template: str) -> Iterator[Database]:
    """100,000 trials of open and ended jobs, each with its lease, and what else they leave; 200 of them open."""
    name = f"test_{uuid4().hex}"
    execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    database = Database(connection_url(postgres_url, name))
    try:
        fill(database)
        yield database
    finally:
        database.close()
        execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def claimer_for(database: Database, objective: str, lease_s: float = LEASE_S) -> Claimer:
    return Claimer(database, uuid4(), [objective], lease_s=lease_s)


# Claim


CLAIM = {"find_expired_lease", "find_job", "lock_job_and_study", "issued", "insert_trial", "start_attempt"}


@pytest.mark.parametrize("strategy", ["random", "grid", "tpe"])
def test_a_claim(crowded: Database, strategy: str) -> None:
    with plans_collected() as plans:
        claimed(claimer_for(crowded, strategy))
    assert plans.files >= (CLAIM | {"read_trials"} if strategy == "tpe" else CLAIM)
    plans.check()
    plans.check_named_indexes()


def test_a_claim_that_finds_nothing(crowded: Database) -> None:
    with plans_collected() as plans:
        assert claimer_for(crowded, "nothing open").claim(uuid4()) is None
    assert plans.files == {"find_expired_lease", "find_job"}
    plans.check()


def test_the_claim_of_an_enqueued_trial(crowded: Database) -> None:
    open_job(crowded, "enqueued", try_first=[{"learning_rate": 0.1}])
    with plans_collected() as plans:
        claimed(claimer_for(crowded, "enqueued"))
    assert plans.files >= {"issued", "start_waiting_trial"}
    plans.check()


def test_a_takeover(crowded: Database) -> None:
    open_job(crowded, "expired")
    claimed(claimer_for(crowded, "expired", lease_s=0.0))
    with plans_collected() as plans:
        claim = claimed(_patient(claimer_for(crowded, "expired")))
    assert claim.lease.attempt == 2
    assert plans.files >= {"find_expired_lease", "lock_job", "lock_expired_lease", "start_attempt", "read_trials"}
    plans.check()


def _patient(claimer: Claimer) -> Claimer:
    """One that takes over at once, although the server has started only now."""
    claimer._memory.patience.seconds = 0.0
    return claimer


def test_the_next_attempt_after_a_trainer_died(crowded: Database) -> None:
    open_job(crowded, "dying")
    claimer = claimer_for(crowded, "dying")
    claim = claimed(claimer)
    with plans_collected() as plans:
        assert claimer.retry(claim, uuid4(), "it died", "") is not None
    assert plans.files >= {"lock_job", "end_lease", "start_attempt"}
    plans.check()


def test_questions_after_a_lost_reply(crowded: Database) -> None:
    claimer = claimer_for(crowded, "random")
    claim = claimed(claimer)
    with plans_collected() as plans:
        assert claimer.reclaim(claim.lease.token) is not None
    assert any("token" in plan.statement for plan in plans.all)
    plans.check()


# Report


def test_a_report_and_a_heartbeat(crowded: Database) -> None:
    claim = claimed(claimer_for(crowded, "random"))
    with plans_collected() as plans:
        for batch in ([measurement(1), measurement(2)], [measurement(2)], []):
            crowded.transact(lambda conn, batch=batch: report(conn, claim.job, claim.lease, batch, lease_s=LEASE_S))  # type: ignore[misc]
    assert plans.files == {"report"}
    plans.check()


def test_a_question_to_the_pruner(crowded: Database) -> None:
    claimer = claimer_for(crowded, "tpe")
    claim = claimed(claimer)
    crowded.transact(lambda conn: report(conn, claim.job, claim.lease, [measurement(1)], lease_s=LEASE_S))
    with plans_collected() as plans:
        should_prune(crowded, claimer.cache, claim.job, claim.lease)
    assert "read_trials" in plans.files
    plans.check()


def test_a_trial_given_back(crowded: Database) -> None:
    job = open_job(crowded, "given back")
    claim = claimed(claimer_for(crowded, "given back"))
    with plans_collected() as plans:
        crowded.transact(lambda conn: leases.release(conn, claim.lease, "its worker is stopping"))
    assert plans.all
    plans.check()
    assert state_of(crowded, job) is JobState.RUNNING


def test_checkpoints(crowded: Database) -> None:
    lease = claimed(claimer_for(crowded, "random")).lease
    for step in (1, 2, 3):
        saved = Checkpoint(kind=Kind.STATE, step=step, size=3, sha256=sha256(b"abc").digest(), content=b"abc", path=None)
        with plans_collected() as plans:
            crowded.transact(lambda conn, saved=saved: checkpoints.insert(conn, lease, saved))  # type: ignore[misc]
            found = crowded.transact(lambda conn: checkpoints.newest(conn, lease.trial_id))
        assert found is not None
        assert found.step == step
        assert "insert_checkpoint" in plans.files
        plans.check()


def test_what_workers_announce_and_offer(crowded: Database) -> None:
    mine = replace(QUADRATIC, name="announced 1")
    with plans_collected() as plans:
        _, refused = offering(crowded, "host:1", version(mine))
        assert list(refused) == ["announced 1"]
        with crowded.transaction() as conn:
            first, *others = objectives.versions_of(conn, "announced 1")
            assert (first.is_offered, len(others), any(other.is_offered for other in others)) == (True, 99, False)
            assert objectives.declaration(conn, first) == {}
            assert len(objectives.newest(conn)) == 20
            assert workers.offered(conn, ["announced 1", "nothing"]) == {"announced 1": {first.sha256}}
    assert len(plans.all) >= 7
    plans.check()


# Finish


RESULTS: list[Result] = [
    Completed(value=1.0, user_attrs={"test_loss": 1.0}),
    Infeasible(step=1, fraction=0.25, evidence="loss became inf"),
    Pruned(value=1.0, step=1),
    Failed(error=TrialError(type="E", message="e")),
]


@pytest.mark.parametrize("result", RESULTS)
def test_a_finish(crowded: Database, result: Result) -> None:
    claim = claimed(claimer_for(crowded, "random"))
    with plans_collected() as plans:
        conclude(crowded, claim, result)
    assert plans.files >= {"lock_job", "end_lease", "finish_trial", "move_job"}
    plans.check()


def test_a_finish_that_ends_the_job(crowded: Database) -> None:
    job = open_job(crowded, "last", budget={"trials": 1})
    claim = claimed(claimer_for(crowded, "last"))
    with plans_collected() as plans:
        conclude(crowded, claim, Completed(value=1.0))
    assert state_of(crowded, job) is JobState.COMPLETED
    plans.check()


def test_a_finish_that_ends_other_trials_too(crowded: Database) -> None:
    job = open_job(crowded, "target", budget={"trials": 10, "target": 0.5})
    claimer = claimer_for(crowded, "target")
    claim, _ = claimed(claimer), claimed(claimer)
    with plans_collected() as plans:
        conclude(crowded, claim, Completed(value=0.1))
    assert state_of(crowded, job) is JobState.COMPLETED
    assert plans.files >= {"lock_open_leases", "stop_trials"}
    plans.check()


# Sweep


def test_a_sweep_that_ends_a_job(crowded: Database) -> None:
    late = open_job(crowded, "late", budget={"seconds": 0.001})
    claimed(claimer_for(crowded, "late"))
    with plans_collected() as plans:
        sweep(crowded)
    assert state_of(crowded, late) is JobState.COMPLETED
    assert plans.files >= {"lock_job", "move_job", "stop_trials"}
    plans.check()


def test_tidying_up_with_something_of_everything_to_do(crowded: Database) -> None:
    """A trial that took all its workers with it, workers that say nothing any more, checkpoints of a job that has just ended."""
    deadly = open_job(crowded, "deadly", max_attempts=1)
    lost = claimed(claimer_for(crowded, "deadly")).lease
    with crowded.transaction() as conn:
        # What expired before the server's start would be no fault of the trial.
        conn.exec_driver_sql(
            "UPDATE stride.leases SET expires_at = pg_postmaster_start_time() + interval '1 ms' WHERE id = %(id)s",
            {"id": lost.id},
        )
        conn.exec_driver_sql(
            "UPDATE stride.workers SET seen_at = now() - interval '1 day'"
            " WHERE id IN (SELECT id FROM stride.workers WHERE stopped_at IS NULL LIMIT 3)"
        )
        conn.exec_driver_sql(
            "UPDATE stride.jobs SET finished_at = now()"
            " WHERE id = (SELECT job_id FROM stride.checkpoints ORDER BY id DESC LIMIT 1) AND state = 'completed'"
        )

    def has_failed() -> bool:
        tidy_up(crowded)
        with crowded.transaction() as conn:
            statement = "SELECT state::text FROM optuna.trials WHERE trial_id = %(id)s"
            return bool(conn.exec_driver_sql(statement, {"id": lost.trial_id}).scalar_one() == "FAIL")

    with plans_collected() as plans:
        wait_until(has_failed, "the trial's failure")
    assert state_of(crowded, deadly) is JobState.RUNNING
    assert plans.files >= {"find_exhausted_leases", "lock_expired_lease", "finish_trial", "prune_checkpoints", "move_job"}
    plans.check()


def test_rounds_with_nothing_to_do(crowded: Database) -> None:
    for _ in range(2):
        with plans_collected() as plans:
            sweep(crowded)
            tidy_up(crowded)
    assert "finish_trial" not in plans.files
    plans.check()


# Read


def test_a_page_of_events(crowded: Database) -> None:
    job_id = largest_job(crowded)["job_id"]
    with plans_collected() as plans, crowded.transaction() as conn:
        events.page(conn, job_id, after=5, limit=100)
    assert any("events_job_id_seq_key" in plan.indexes for plan in plans.all)
    plans.check()


def test_the_last_steps_of_a_page_of_trials(crowded: Database) -> None:
    with crowded.transaction() as conn:
        ids = list(conn.exec_driver_sql("SELECT DISTINCT trial_id FROM stride.measurements LIMIT 100").scalars())
    with plans_collected() as plans, crowded.transaction() as conn:
        assert measurements.last_steps(conn, ids).keys() == set(ids)
    assert plans.all[0].indexes == {"measurements_pkey"}
    plans.check()


def test_a_job_named_by_its_first_digits(crowded: Database) -> None:
    job_id = largest_job(crowded)["job_id"]
    with plans_collected() as plans, crowded.transaction() as conn:
        assert job_id in jobs.ids_beginning(conn, job_id.hex[:8], limit=6)
    assert plans.all[0].indexes == {"jobs_pkey"}
    plans.check()


# The checks themselves


def explained(database: Database, file: str, without: str, **parameters: Any) -> Plans:
    """The plan of a query file in a database that lacks an index."""
    with plans_collected() as plans, database.transaction() as conn:
        conn.exec_driver_sql(f"DROP INDEX {without}")
        conn.exec_driver_sql(queries.query(file), parameters)
        conn.rollback()
    return plans


def largest_job(database: Database) -> dict[str, Any]:
    with database.transaction() as conn:
        row = conn.exec_driver_sql(
            "SELECT id, study_id FROM stride.jobs WHERE budget_trials = 1000000 ORDER BY created_at LIMIT 1"
        )
        return dict(zip(("job_id", "study_id"), row.one(), strict=True))


@pytest.mark.parametrize("index", ["optuna.stride_trials_waiting_idx", "stride.leases_open_job_id_idx"])
def test_an_index_that_is_named_and_missing_is_noticed(crowded: Database, index: str) -> None:
    plans = explained(crowded, "issued", without=index, phase=0, **largest_job(crowded))
    with pytest.raises(AssertionError, match=f"not used: {index.split('.')[1]}"):
        plans.check_named_indexes()


def test_a_whole_table_that_is_read_for_want_of_an_index_is_noticed(crowded: Database) -> None:
    with plans_collected() as plans, crowded.transaction() as conn:
        conn.exec_driver_sql("ALTER TABLE stride.leases DROP CONSTRAINT leases_token_key")
        conn.exec_driver_sql("SELECT id FROM stride.leases WHERE token = %(token)s", {"token": uuid4()})
        conn.rollback()
    with pytest.raises(AssertionError, match=r"reads all: Seq Scan on stride\.leases"):
        plans.check()


def test_a_function_that_stays_a_call_is_noticed(crowded: Database) -> None:
    with plans_collected() as plans, crowded.transaction() as conn:
        conn.exec_driver_sql("ALTER FUNCTION stride.is_expired SET search_path = stride")
        leases.lock_expired(conn, 1)
        conn.rollback()
    with pytest.raises(AssertionError, match="calls a function"):
        plans.check()


def test_an_index_that_is_read_from_end_to_end_is_noticed(crowded: Database) -> None:
    with plans_collected() as plans, crowded.transaction() as conn:
        conn.exec_driver_sql("SELECT count(*) FROM stride.leases")
    with pytest.raises(AssertionError, match=r"reads all: .* of all of leases_"):
        plans.check()

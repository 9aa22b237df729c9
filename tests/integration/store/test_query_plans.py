"""What the statements of claim, report, finish and sweep cost at 100,000 trials: each finds its rows by an index.

Nothing is listed here: every statement that dispatch really sends is explained as it is sent, with its own parameters and in its
own transaction, just before it runs. The indexes that a query file names after "Needs" must be the ones that its plan uses.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned, Result
from service.dispatch.renew import report, should_prune
from service.dispatch.sweeper import sweep, tidy_up
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.job import Job, JobState
from service.domain.trial import TrialError
from service.store import checkpoints, leases, queries
from service.store.postgres import Database
from tests.conftest import execute
from tests.databases import connection_url
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import LEASE_S, claimed, conclude, state_of
from tests.polling import wait_until

TRIALS = 100_000
OPEN_LEASES = 200
ENDED_JOBS = 2_000
"""Most with no trial of their own here: jobs are many too."""
LATER_JOBS = 100
"""Open ones of lower priority."""
FILLED_JOBS = 40
"""Of the ended jobs, those with a share of the trials."""
OBJECTIVES = (
    *("random", "grid", "tpe"),  # each with a large open job
    *("enqueued", "expired", "dying", "given back", "last", "target", "late", "deadly"),
)
"""Of the jobs here, so that a test's claims see only its own job."""

GROWING = {
    f"optuna.{name}"
    for name in (
        "trials",
        "trial_params",
        "trial_values",
        "trial_intermediate_values",
        "trial_user_attributes",
        "trial_system_attributes",
        "studies",
        "study_directions",
        "study_system_attributes",
    )
} | {f"stride.{name}" for name in ("jobs", "leases", "measurements", "checkpoints", "events", "workers")}
MAY_READ_ALL = {"prune_checkpoints"}
"""Runs every ten seconds in one process of all, over tables with a row or two for a job: reading them whole is as good."""
SMALL_INDEXES = re.compile(r"_open_|_waiting_|^(jobs_deadline_at_idx|jobs_idempotency_key_key|workers_seen_at_idx)$")
"""Partial ones, over what is open or of these days: they may be read from end to end."""


@dataclass(frozen=True)
class Plan:
    """How PostgreSQL means to run a statement."""

    statement: str
    nodes: list[dict[str, Any]]

    @property
    def file(self) -> str | None:
        """The query file that the statement stands in."""
        return _FILES.get(self.statement)

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def needed(self) -> set[str]:
        """The indexes that the statement's header names."""
        header = " ".join(line.removeprefix("--").strip() for line in self.statement.splitlines() if line.startswith("--"))
        named = [word for part in re.findall(r"Needs ([^.]*)\.", header) for word in re.split(r"[\s,]+", part)]
        return {word for word in named if word.endswith(("_idx", "_key", "_pkey"))}

    def whole_tables(self) -> list[str]:
        """The growing tables of which it reads everything, by a sequential scan or by an index without a condition."""
        found = []
        for node in self.nodes:
            table = f"{node.get('Schema')}.{node.get('Relation Name')}"
            if node["Node Type"] == "Seq Scan" and table in GROWING:
                found.append(f"Seq Scan on {table}")
            index = node.get("Index Name")
            if index is not None and "Index Cond" not in node and not SMALL_INDEXES.search(index):
                found.append(f"{node['Node Type']} of all of {index}")
        return found


_FILES: Mapping[str, str] = {
    file.read_text(encoding="utf-8"): file.name.removesuffix(".sql")
    for file in files(queries).iterdir()
    if file.name.endswith(".sql")
}


@dataclass
class Plans:
    """Of all statements sent while they were being collected."""

    all: list[Plan] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    """Of ours, in the database."""

    @property
    def files(self) -> set[str]:
        return {plan.file for plan in self.all if plan.file is not None}

    def check(self) -> None:
        """None reads a whole table, and no function of ours is called: its expression stands in the plan, open to indexes."""
        ours = re.compile(rf"\b({'|'.join(self.functions)})\(")
        calls = [plan.statement for plan in self.all if ours.search(str(plan.nodes))]
        assert not calls, "calls a function:\n" + "\n\n".join(calls)
        wrong = [
            f"reads all: {', '.join(found)}\n{plan.statement}"
            for plan in self.all
            if (found := plan.whole_tables()) and plan.file not in MAY_READ_ALL
        ]
        assert not wrong, "\n\n".join(wrong)

    def check_named_indexes(self) -> None:
        """Each uses the indexes that its file says it needs. Holds for long studies only: in a short one others are as good."""
        wrong = [
            f"not used: {', '.join(missing)}\n{plan.statement}" for plan in self.all if (missing := plan.needed - plan.indexes)
        ]
        assert not wrong, "\n\n".join(wrong)


@contextmanager
def plans_collected() -> Iterator[Plans]:
    """Has every statement explained that any engine of this process sends."""
    plans = Plans()

    def explain(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        verb = re.sub(r"--[^\n]*\n", "", statement).split(maxsplit=1)[0].upper()
        if verb in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
            raw: psycopg.Connection[Any] = cursor.connection
            found = raw.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}", parameters[0] if many else parameters).fetchone()
            assert found is not None
            plans.all.append(Plan(statement, list(_nodes(found[0][0]["Plan"]))))
            if not plans.functions:
                rows = raw.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'stride'::regnamespace")
                plans.functions = [name for (name,) in rows]

    sa.event.listen(sa.Engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", explain)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from _nodes(child)


# A database that has seen much


@pytest.fixture(scope="module")
def crowded(postgres_url: str, template: str) -> Iterator[Database]:
    """100,000 trials of open and ended jobs, each with its lease, and what else they leave; 200 of them open."""
    name = f"test_{uuid4().hex}"
    execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    database = Database(connection_url(postgres_url, name))
    try:
        _fill(database)
        yield database
    finally:
        database.close()
        execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def _fill(database: Database) -> None:
    ended = submit_job(database, objective={"name": "ended"})
    open_jobs = {
        open_job(database, "random", budget={"trials": 1_000_000}).study_id: TRIALS // 2,
        open_job(database, "grid", strategy="grid", budget={"trials": 10}).study_id: TRIALS // 4,
        open_job(database, "tpe", strategy="bayesian", pruner="median", budget={"trials": 1_000_000}).study_id: 300,
    }
    rest = TRIALS - sum(open_jobs.values())
    with database.transaction(timeout_s=100) as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")  # spares the checks of references
        like = {"id": ended.id, "objectives": list(OBJECTIVES)}
        conn.exec_driver_sql(_JOBS, like | {"count": LATER_JOBS, "state": "running", "priority": -1})
        first = conn.exec_driver_sql(_JOBS, like | {"count": ENDED_JOBS, "state": "completed", "priority": 0}).scalar_one()
        for study_id, count in open_jobs.items():
            conn.exec_driver_sql(_TRIALS, {"first": study_id, "last": study_id, "count": count})
        conn.exec_driver_sql(_TRIALS, {"first": first, "last": first + FILLED_JOBS - 1, "count": rest // FILLED_JOBS})
        for statement in _LEFT_BY_TRIALS:
            conn.exec_driver_sql(statement)
        conn.exec_driver_sql(_RUNNING, {"studies": list(open_jobs), "count": OPEN_LEASES})
        conn.exec_driver_sql(_WORKERS)
    with psycopg.connect(database.url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True) as raw:
        raw.execute("SET default_statistics_target = 400")  # looks at every row, so that the plans are the same in every run
        raw.execute("VACUUM ANALYZE")


def open_job(database: Database, objective: str, **overrides: Any) -> Job:
    """A job of one of the objectives."""
    assert objective in OBJECTIVES
    return submit_job(database, objective={"name": objective}, **overrides)


_JOBS = """
WITH study AS (
    INSERT INTO optuna.studies (study_name) SELECT gen_random_uuid() FROM generate_series(1, %(count)s) RETURNING study_id
), direction AS (
    INSERT INTO optuna.study_directions (study_id, direction, objective) SELECT study_id, 'MINIMIZE', 0 FROM study
), attribute AS (
    INSERT INTO optuna.study_system_attributes (study_id, key, value_json) SELECT study_id, 'study:metric_names', '[]' FROM study
), job AS (
    INSERT INTO stride.jobs (id, study_id, spec, meaning, state, needs_history, counts_points, started_at, finished_at)
    SELECT gen_random_uuid(), study.study_id,
        spec || jsonb_build_object('priority', %(priority)s::int, 'objective', jsonb_build_object('name', chosen.name)),
        meaning, %(state)s, needs_history, counts_points, moment, CASE WHEN %(state)s::text = 'completed' THEN moment END
    FROM study, stride.jobs,
        LATERAL (SELECT (%(objectives)s::text[])[1 + study.study_id %% cardinality(%(objectives)s::text[])]) AS chosen (name),
        LATERAL (SELECT now() - study.study_id * interval '10 minutes') AS at (moment)
    WHERE id = %(id)s
)
SELECT min(study_id) FROM study
"""
_TRIALS = """
INSERT INTO optuna.trials (study_id, number, state, datetime_start, datetime_complete)
SELECT study_id, number, 'COMPLETE', now(), now()
FROM generate_series(%(first)s::int, %(last)s::int) AS study_id, generate_series(0, %(count)s::int - 1) AS number
ORDER BY number, study_id
"""
_RATE = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 1.0, "log": true}}'
_LEFT_BY_TRIALS = [
    f"""
    INSERT INTO optuna.trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT trial_id, 'learning_rate', 1e-5 + 0.9 * random(), '{_RATE}' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_values (trial_id, objective, value, value_type)
    SELECT trial_id, 0, random(), 'FINITE' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_system_attributes (trial_id, key, value_json)
    SELECT trial_id, 'constraints', '[-1.0]' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)
    SELECT trial_id, 'test_loss', '1.0' FROM optuna.trials
    """,
    """
    INSERT INTO optuna.trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
    SELECT trial_id, 1, random(), 'FINITE' FROM optuna.trials
    """,
    """
    INSERT INTO stride.measurements (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds)
    SELECT trial_id, 1, 0.25, false, '{"loss": 1.0}', 0.1, 0.1 FROM optuna.trials
    """,
    """
    INSERT INTO stride.leases (token, job_id, trial_id, attempt, worker_id, started_at, expires_at, last_step, ended_at, outcome)
    SELECT gen_random_uuid(), job.id, trial_id, 1, gen_random_uuid(), now(), now(), 1, now(), 'finished'
    FROM optuna.trials JOIN stride.jobs AS job USING (study_id)
    """,
    """
    INSERT INTO stride.events (job_id, seq, type, payload)
    SELECT job.id, 2 + number, 'trial.completed', '{}' FROM optuna.trials JOIN stride.jobs AS job USING (study_id)
    """,
    """
    INSERT INTO stride.checkpoints (job_id, trial_id, lease_id, kind, step, size, sha256, content)
    SELECT job_id, trial_id, id, 'model', 1, 3, sha256('abc'), 'abc' FROM stride.leases WHERE mod(id, 100) = 0
    """,
]
_RUNNING = """
WITH trial AS (
    UPDATE optuna.trials SET state = 'RUNNING', datetime_complete = NULL
    WHERE trial_id IN (SELECT trial_id FROM optuna.trials WHERE study_id = ANY(%(studies)s) ORDER BY random() LIMIT %(count)s)
    RETURNING trial_id
), result AS (
    DELETE FROM optuna.trial_values WHERE trial_id IN (SELECT trial_id FROM trial)
), job AS (
    UPDATE stride.jobs SET state = 'running', started_at = now(), event_seq = 1000000 WHERE study_id = ANY(%(studies)s)
)
UPDATE stride.leases SET ended_at = NULL, outcome = NULL, expires_at = now() + interval '1 hour'
WHERE trial_id IN (SELECT trial_id FROM trial)
"""
_WORKERS = """
INSERT INTO stride.workers (id, name, objectives, device, version, lost_after_s, stopped_at)
SELECT gen_random_uuid(), 'host:' || n, ARRAY['quadratic'], 'cpu', '0', 30, CASE WHEN n > 200 THEN now() END
FROM generate_series(1, 5000) AS n
"""


def claimer_for(database: Database, objective: str, lease_s: float = LEASE_S) -> Claimer:
    return Claimer(database, uuid4(), [objective], lease_s=lease_s)


# Claim


CLAIM = {"find_expired_lease", "find_job", "lock_job_and_study", "claim_facts", "insert_trial", "start_attempt"}


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
    assert plans.files >= {"claim_facts", "start_waiting_trial"}
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
    claimer._patience.seconds = 0.0
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
            "SELECT id, study_id FROM stride.jobs WHERE trial_budget = 1000000 ORDER BY created_at LIMIT 1"
        )
        return dict(zip(("job_id", "study_id"), row.one(), strict=True))


@pytest.mark.parametrize("index", ["optuna.stride_trials_waiting_idx", "stride.leases_open_job_id_idx"])
def test_an_index_that_is_named_and_missing_is_noticed(crowded: Database, index: str) -> None:
    plans = explained(crowded, "claim_facts", without=index, **largest_job(crowded))
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

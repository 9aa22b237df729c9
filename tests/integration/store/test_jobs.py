"""Jobs in the store: how they end, how they go, and how long their keys are remembered."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import optuna
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.extend import extend
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed
from service.dispatch.submit import submit
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.job import Job, JobState
from service.domain.lease import Outcome
from service.domain.request import Extension, JobRequest
from service.domain.trial import TrialState
from service.errors import IdempotencyKeyReused, JobNotFound, LeaseLost
from service.store import checkpoints, jobs, leases, notes, tables, trial_reader, trials
from service.store.postgres import Database
from tests.factories import job_spec, measurement, submit_job
from tests.polling import wait_until_somebody_waits_for_a_lock
from tests.stock_optuna import stock


def claimed(database: Database) -> Claim:
    claim = Claimer(database, uuid4(), ["quadratic"], lease_s=30).claim(uuid4())
    assert claim is not None
    return claim


def reported(database: Database, claim: Claim, *losses: float) -> None:
    steps = [measurement(step, loss) for step, loss in enumerate(losses, start=1)]
    with database.transaction() as conn:
        leases.report(conn, claim.lease, steps, "loss", lease_s=30)


def states(database: Database, job: Job) -> dict[int, tuple[TrialState, float | None]]:
    with database.transaction() as conn:
        return {trial.number: (trial.state, trial.value) for trial in trial_reader.page(conn, job, limit=100)}


def ended(database: Database, job: Job) -> None:
    database.transact(lambda conn: lifecycle.cancel(conn, job.id))


# What is stored.


def test_the_direction_of_a_job_is_its_studys_and_stands_in_no_document(database: Database) -> None:
    job = submit_job(database, direction="maximize", metric="score")
    with database.transaction() as conn:
        stored = conn.execute(sa.select(tables.jobs.c.spec).where(tables.jobs.c.id == job.id)).scalar_one()
        assert jobs.get(conn, job.id).spec == job_spec(direction="maximize", metric="score")
    assert stored == job.spec.model_dump(mode="json")
    assert stored.keys() == JobRequest.model_fields.keys()


# The end of all trials.


def test_stopping_prunes_what_was_measured_and_fails_the_rest(database: Database) -> None:
    job = submit_job(database, try_first=[{"learning_rate": 0.1}, {"learning_rate": 0.2}, {"learning_rate": 0.3}])
    measured, unmeasured = claimed(database), claimed(database)
    reported(database, measured, 3.0, 2.0)
    ended(database, job)
    assert states(database, job) == {
        measured.lease.number: (TrialState.PRUNED, 2.0),
        unmeasured.lease.number: (TrialState.FAILED, None),
        2: (TrialState.FAILED, None),
    }
    seeds = {claim.lease.number: {"training_seed": claim.training_seed} for claim in (measured, unmeasured)}
    with database.transaction() as conn:
        for trial in trial_reader.page(conn, job, limit=100):
            assert trial.user_attrs == seeds.get(trial.number, {}) | {"stopped_by": "cancelled"}
            assert trial.finished_at is not None
            assert [(attempt.outcome, attempt.reason) for attempt in trial.attempts] in ([(Outcome.STOPPED, "cancelled")], [])


def test_stopping_leaves_finished_trials_and_other_jobs_alone(database: Database) -> None:
    job = submit_job(database)
    done = claimed(database)
    reported(database, done, 1.0)
    with database.transaction() as conn:
        finish(conn, done.lease, Completed(value=1.0), lease_s=30)
    ended_job_trials = claimed(database)
    with database.transaction() as conn:
        # A job apart, whose trial has the next number of its own study.
        other = submit(conn, job_spec(name="other", priority=1))[0]
    others = claimed(database)
    assert others.job.id == other.id
    ended(database, job)
    assert states(database, job)[done.lease.number] == (TrialState.COMPLETE, 1.0)
    assert states(database, job)[ended_job_trials.lease.number] == (TrialState.FAILED, None)
    assert states(database, other) == {0: (TrialState.RUNNING, None)}
    reported(database, others, 1.0)


def test_stopping_leaves_a_foreign_scripts_running_trial_alone(database: Database, database_url: str) -> None:
    job = submit_job(database)
    with stock(database_url) as storage:
        study = optuna.load_study(study_name=job.study_name, storage=storage)
        trial = study.ask()
        ended(database, job)
        assert states(database, job) == {0: (TrialState.RUNNING, None)}
        study.tell(trial, 0.5)
    assert states(database, job) == {0: (TrialState.COMPLETE, 0.5)}


def test_the_worker_of_a_stopped_trial_writes_nothing_more(database: Database) -> None:
    job = submit_job(database)
    claim = claimed(database)
    reported(database, claim, 3.0)
    ended(database, job)
    with pytest.raises(LeaseLost):
        reported(database, claim, 2.0, 1.0)
    with pytest.raises(LeaseLost):
        database.transact(lambda conn: finish(conn, claim.lease, Completed(value=1.0), lease_s=30))
    assert states(database, job) == {0: (TrialState.PRUNED, 3.0)}
    with database.transaction() as conn:
        assert [point.step for point in next(trials.trials_since(conn, job.study_id)).curve] == [1]


def test_a_report_that_is_being_committed_counts_when_its_job_is_stopped(database: Database) -> None:
    job = submit_job(database)
    claim = claimed(database)
    reported(database, claim, 3.0)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as conn:
            leases.report(conn, claim.lease, [measurement(2, 2.0)], "loss", lease_s=30)
            stopping = pool.submit(ended, database, job)
            wait_until_somebody_waits_for_a_lock(database)
        stopping.result(30)
    assert states(database, job) == {0: (TrialState.PRUNED, 2.0)}


def test_a_final_job_has_its_time_and_an_open_one_has_not(database: Database) -> None:
    job = submit_job(database)
    assert job.finished_at is None
    ended(database, job)
    with database.transaction() as conn:
        final = jobs.get(conn, job.id)
    assert (final.state, final.reason) == (JobState.CANCELLED, "cancelled")
    assert final.finished_at is not None
    with pytest.raises(IntegrityError, match="jobs_finished_check"), database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.jobs SET finished_at = NULL")


# Removal.


def rows(database: Database) -> dict[str, int]:
    """How many rows every table holds, ours and Optuna's."""
    with database.transaction() as conn:
        names = conn.exec_driver_sql(
            "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('stride', 'optuna')", {}
        ).scalars()
        return {name: conn.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in names}


def fill(database: Database, database_url: str, job: Job) -> None:
    """Something in every table that knows of studies or jobs."""
    claim = claimed(database)
    assert claim.job.id == job.id
    reported(database, claim, 2.0, 1.0)
    checkpoint = Checkpoint(kind=Kind.STATE, step=1, size=1, sha256=b"1", content=b"1", path=None)
    database.transact(lambda conn: checkpoints.insert(conn, claim.lease, checkpoint))
    database.transact(lambda conn: finish(conn, claim.lease, Completed(value=1.0, user_attrs={"test": 1}), lease_s=30))
    database.transact(lambda conn: notes.hold(conn, every_s=1.0, hold_s=1.0))
    more = Extension(trials=1)
    database.transact(lambda conn: extend(conn, job.id, more, idempotency_key=str(job.id), request_sha256=b"1"))
    with stock(database_url) as storage:
        study = optuna.load_study(study_name=job.study_name, storage=storage)
        study.set_user_attr("owner", "ada")
        storage.set_study_system_attr(job.study_id, "note", "text")
        trial = study.ask({"learning_rate": optuna.distributions.FloatDistribution(1e-5, 1.0, log=True)})
        trial.set_user_attr("by", "hand")
        trial.report(1.0, 1)
        storage.record_heartbeat(trial._trial_id)
        study.tell(trial, 1.0)
        storage.set_trial_system_attr(study.ask()._trial_id, "a", 1)
        study.enqueue_trial({"learning_rate": 0.1}, user_attrs={"why": "curious"})


def test_deleting_leaves_no_row_behind_in_any_table(database: Database, database_url: str) -> None:
    kept = submit_job(database, priority=1)
    fill(database, database_url, kept)
    ended(database, kept)
    before = rows(database)
    job = submit_job(database)
    fill(database, database_url, job)
    ended(database, job)
    full = rows(database)
    grown = {name for name in before if full[name] > before[name]}
    assert set(before) - grown == {
        "stride.alembic_version",
        "stride.objectives",
        "stride.workers",
        "optuna.alembic_version",
        "optuna.version_info",
    }, "fill() should put something into every table"
    kept_before = states(database, kept)
    database.transact(lambda conn: lifecycle.delete(conn, job.id))
    assert rows(database) == before
    assert states(database, kept) == kept_before
    with pytest.raises(JobNotFound), database.transaction() as conn:
        jobs.get(conn, job.id)


def attribute(conn: sa.Connection, job: Job) -> None:
    conn.exec_driver_sql(
        "INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json)"
        " SELECT trial_id, 'late', '1' FROM optuna.trials WHERE study_id = %(study_id)s",
        {"study_id": job.study_id},
    )


def trial(conn: sa.Connection, job: Job) -> None:
    # As stock Optuna does it.
    conn.exec_driver_sql("SELECT FROM optuna.studies WHERE study_id = %(study_id)s FOR UPDATE", {"study_id": job.study_id})
    trials.insert_trial(conn, job.study_id, 1)


@pytest.mark.parametrize("written", [attribute, trial])
def test_deleting_waits_for_what_a_foreign_script_is_writing_and_removes_it_too(
    database: Database, database_url: str, written: Callable[[sa.Connection, Job], None]
) -> None:
    before = rows(database)
    job = submit_job(database)
    with stock(database_url) as storage:
        optuna.load_study(study_name=job.study_name, storage=storage).ask()
    ended(database, job)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as conn:
            written(conn, job)
            deleting = pool.submit(database.transact, lambda conn: lifecycle.delete(conn, job.id))
            wait_until_somebody_waits_for_a_lock(database)
        deleting.result(30)
    assert rows(database) == before


def test_no_stock_tool_can_delete_the_study_of_a_job(database: Database, database_url: str) -> None:
    job = submit_job(database)
    claim = claimed(database)
    with stock(database_url) as storage:
        optuna.delete_study(study_name=job.study_name, storage=storage)  # which ignores the refusal
    reported(database, claim, 1.0)
    assert states(database, job) == {0: (TrialState.RUNNING, None)}


# Idempotency keys.


def submitted(database: Database, key: str, body: bytes = b"body") -> tuple[Job, bool]:
    return database.transact(lambda conn: submit(conn, job_spec(), idempotency_key=key, request_sha256=body))


def age(database: Database, job: Job, interval: str) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.jobs SET created_at = clock_timestamp() - %(interval)s::interval WHERE id = %(id)s",
            {"interval": interval, "id": job.id},
        )


def test_a_key_is_remembered_for_seven_days(database: Database) -> None:
    first, new = submitted(database, "key")
    assert new
    age(database, first, "6 days 23 hours 59 minutes")
    again, new = submitted(database, "key")
    assert (again.id, new) == (first.id, False)
    with pytest.raises(IdempotencyKeyReused):
        submitted(database, "key", b"another body")


def test_a_key_is_forgotten_after_seven_days(database: Database) -> None:
    first, _ = submitted(database, "key")
    age(database, first, "7 days 1 second")
    second, new = submitted(database, "key", b"another body")
    assert new
    assert second.id != first.id
    with database.transaction() as conn:
        assert jobs.by_idempotency_key(conn, "key") == (second.id, b"another body")
        assert jobs.get(conn, first.id).id == first.id
        kept = conn.exec_driver_sql("SELECT idempotency_key, request_sha256 FROM stride.jobs WHERE id = %(id)s", {"id": first.id})
        assert tuple(kept.one()) == (None, None)


def test_two_submissions_at_once_with_one_key_make_one_job(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = [future.result(30) for future in [pool.submit(submitted, database, "key") for _ in range(4)]]
    assert len({job.id for job, _ in results}) == 1
    assert sorted(new for _, new in results) == [False, False, False, True]
    with database.transaction() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM optuna.studies").scalar_one() == 1

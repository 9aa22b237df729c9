"""Retention: old events and measurements of ended jobs go, in batches, and nothing else."""

from uuid import UUID, uuid4

import pytest

from service.dispatch import lifecycle
from service.dispatch.outcome import Completed
from service.dispatch.renew import report
from service.domain.checkpoint import Checkpoint, Kind
from service.domain.events import Event
from service.domain.job import Job
from service.store import checkpoints, events, measurements, objectives, retention, trial_reader, workers
from service.store.postgres import Database
from service.store.retention import Deleted, delete_all, delete_some
from tests.factories import measurement, submit_job
from tests.integration.dispatch.test_announce import claimer_of as claimer_offering
from tests.integration.dispatch.test_announce import end, job_of, offering, version
from tests.integration.dispatch.training import LEASE_S, claimed, claimer_of, conclude, stored

STEPS = 4


def ended_job(database: Database, days_ago: float) -> Job:
    """A job of one trial of four steps, with a model, that ended so many days ago."""
    job = submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database))
    assert claim.job.id == job.id
    steps = [measurement(step, 1 / step) for step in range(1, STEPS + 1)]
    database.transact(lambda conn: report(conn, claim.job, claim.lease, steps, lease_s=LEASE_S))
    model = Checkpoint(kind=Kind.MODEL, step=STEPS, size=1, sha256=b"1", content=b"1", path=None)
    database.transact(lambda conn: checkpoints.insert(conn, claim.lease, model))
    conclude(database, claim, Completed(value=1 / STEPS))
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE stride.jobs SET finished_at = finished_at - make_interval(secs => 86400 * %(days)s) WHERE id = %(id)s",
            {"days": days_ago, "id": job.id},
        )
    return job


def running_job(database: Database) -> Job:
    """A job submitted long ago whose first trial still runs."""
    job = submit_job(database, budget={"trials": 1})
    claim = claimed(claimer_of(database))
    database.transact(lambda conn: report(conn, claim.job, claim.lease, [measurement(1)], lease_s=LEASE_S))
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.jobs SET created_at = created_at - interval '1 year', started_at = created_at")
        conn.exec_driver_sql("UPDATE stride.events SET at = at - interval '1 year' WHERE job_id = %(id)s", {"id": job.id})
    return job


def counts(database: Database, job: Job) -> tuple[int, int]:
    """Measurements and events of a job."""
    with database.transaction() as conn:
        curve = measurements.of_trial(conn, trial_reader.trial_id(conn, job, 0))
        told: int = conn.exec_driver_sql("SELECT count(*) FROM stride.events WHERE job_id = %(id)s", {"id": job.id}).scalar_one()
        return len(curve), told


def worker(database: Database, *, days_ago: float, state: str) -> UUID:
    worker_id = uuid4()
    with database.transaction() as conn:
        workers.register(conn, worker_id, name=state, objectives=[], device="cpu", version="1", lost_after_s=30)
        moment = f"clock_timestamp() - make_interval(secs => {86400 * days_ago})"
        column = {"stopped": f", stopped_at = {moment}", "lost": f", lost_at = {moment}", "silent": ""}[state]
        conn.exec_driver_sql(f"UPDATE stride.workers SET seen_at = {moment}{column} WHERE id = %(id)s", {"id": worker_id})
    return worker_id


def test_what_is_old_of_ended_jobs_goes_and_nothing_of_open_or_younger_ones(database: Database) -> None:
    old, young = ended_job(database, days_ago=10), ended_job(database, days_ago=5)
    running = running_job(database)
    before = counts(database, young), counts(database, running)
    n_events = counts(database, old)[1]
    assert n_events > 2
    assert delete_all(database, days=7) == Deleted(measurements=STEPS, events=n_events, workers=0)
    assert counts(database, old) == (0, 0)
    assert (counts(database, young), counts(database, running)) == before
    assert before[1][0] == 1


def test_of_announced_objectives_only_old_ones_that_no_live_worker_offers_go(database: Database) -> None:
    """Not those that jobs have been submitted for: a job keeps what was declared."""
    versions = [version(source=source) for source in (b"offered", b"not", b"young")]
    for each in versions:
        worker_id, _ = offering(database, "host:1", each)
        if each is not versions[0]:
            end(database, worker_id)
    job = job_of(database, versions[1].sha256)
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.objectives SET announced_at = announced_at - interval '10 days'")
        objectives.announce(conn, uuid4(), name="mine", sha256=versions[2].sha256, declaration={}, declaration_sha256=b"")
    assert delete_all(database, days=7) == Deleted(objectives=1)
    with database.transaction() as conn:
        assert {each.sha256 for each in objectives.versions_of(conn, "mine")} == {versions[0].sha256, versions[2].sha256}
    assert claimed(claimer_offering(database, versions[1].sha256)).job.id == job.id


def test_trials_values_and_best_models_of_old_jobs_stay(database: Database) -> None:
    job = ended_job(database, days_ago=10)
    before = stored(database, job)
    delete_all(database, days=7)
    assert stored(database, job) == before
    assert before[0].intermediate_values == {1: 1.0, 2: 1 / 2, 3: 1 / 3, 4: 1 / 4}
    with database.transaction() as conn:
        assert checkpoints.newest(conn, trial_reader.trial_id(conn, job, 0), Kind.MODEL) is not None
        trial = trial_reader.get(conn, job, 0)
    assert (trial.value, len(trial.attempts)) == (1 / STEPS, 1)
    with database.transaction() as conn:
        lifecycle.delete(conn, job.id)


def test_a_large_backlog_goes_in_batches(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    jobs = [ended_job(database, days_ago=10) for _ in range(3)]
    n_events = sum(counts(database, job)[1] for job in jobs)
    assert delete_some(database, days=7, for_s=0) == Deleted(measurements=3, events=3)
    assert delete_all(database, days=7) == Deleted(measurements=3 * STEPS - 3, events=n_events - 3)
    assert delete_all(database, days=7) == Deleted()


def test_as_many_batches_go_at_once_as_there_is_time_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    job = ended_job(database, days_ago=10)
    assert delete_some(database, days=7, for_s=60).measurements == STEPS
    assert counts(database, job) == (0, 0)


def test_old_events_without_a_job_go(database: Database) -> None:
    with database.transaction() as conn:
        events.write(conn, Event.WORKER_LOST, {"worker": "old"})
        conn.exec_driver_sql("UPDATE stride.events SET at = at - interval '8 days'")
        events.write(conn, Event.WORKER_LOST, {"worker": "new"})
    assert delete_all(database, days=7).events == 1
    with database.transaction() as conn:
        assert list(conn.exec_driver_sql("SELECT payload->>'worker' FROM stride.events").scalars()) == ["new"]


def test_workers_that_ended_long_ago_go_and_silent_or_younger_ones_stay(database: Database) -> None:
    for state in ("stopped", "lost", "silent"):
        worker(database, days_ago=8, state=state)
        worker(database, days_ago=6, state=state)
    assert delete_all(database, days=7).workers == 2
    with database.transaction() as conn:
        assert sorted(found.name for found in workers.page(conn, limit=10)) == ["lost", "silent", "silent", "stopped"]


def test_zero_days_delete_all_of_ended_jobs(database: Database) -> None:
    job, running = ended_job(database, days_ago=0), running_job(database)
    before = counts(database, running)
    delete_all(database, days=0)
    assert counts(database, job) == (0, 0)
    assert counts(database, running) == before


def test_a_hundred_years_delete_nothing(database: Database) -> None:
    ended_job(database, days_ago=10)
    assert delete_all(database, days=36_500) == Deleted()

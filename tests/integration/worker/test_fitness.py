"""Workers that cannot train give trials back unharmed and set the objective aside; a trial's own faults fail it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.domain.job import Job, JobState
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.settings import Settings
from service.store import jobs, trial_reader, workers
from service.store.postgres import Database
from service.worker import loop
from service.worker.ending import Unfit
from service.worker.loop import Worker
from tests.factories import LEARNING_RATE, submit_job
from tests.integration.worker.conftest import Start
from tests.integration.worker.fickle import UNFIT
from tests.integration.worker.supervised import odd_job, stepping_job, supervised, told, trial_of
from tests.polling import wait_until

MODULES = "tests.quadratic,tests.integration.worker.fickle"
SAID = "tests.integration.worker.fickle_training cannot be imported:"


def fickle_job(database: Database, **overrides: Any) -> Job:
    return submit_job(
        database,
        objective={"name": "fickle"},
        search_space={"learning_rate": LEARNING_RATE | {"high": 0.4}, "epochs": 2, "momentum": 0.9},
        **{"budget": {"trials": 3, "failures": 1}} | overrides,
    )


def is_completed(database: Database, job: Job) -> bool:
    with database.transaction() as conn:
        return jobs.get(conn, job.id).state is JobState.COMPLETED


def worker_events(database: Database, type_: str) -> list[dict[str, Any]]:
    with database.transaction() as conn:
        query = "SELECT payload FROM stride.events WHERE job_id IS NULL AND type = %(type)s ORDER BY id"
        return list(conn.exec_driver_sql(query, {"type": type_}).scalars())


def workers_of(database: Database) -> list[workers.Worker]:
    with database.transaction() as conn:
        return workers.page(conn, limit=10)


@contextmanager
def working(database_url: str, **settings: Any) -> Iterator[Worker]:
    """A worker in a thread of the test."""
    options = Settings.model_validate({"objective_modules": MODULES, "poll_s": 0.1, "device": "cpu"} | settings)
    database = Database(database_url)
    worker = Worker(database, options)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop(0, None)
        worker.stop(0, None)
        thread.join(30)
        assert not thread.is_alive()
        database.close()


@pytest.fixture
def unfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While this file is there, trainers that are started from here cannot train `fickle`."""
    file = tmp_path / "unfit"
    file.touch()
    monkeypatch.setenv(UNFIT, str(file))
    return file


def test_an_unfit_worker_gives_its_trial_back_and_a_fit_one_finishes_the_job_with_no_failed_trial(
    database: Database, start_worker: Start, tmp_path: Path
) -> None:
    (tmp_path / "unfit").touch()
    unfit = start_worker(STRIDE_OBJECTIVE_MODULES=MODULES, STRIDE_LEASE_S="60", **{UNFIT: str(tmp_path / "unfit")})
    job = fickle_job(database)
    wait_until(lambda: bool(worker_events(database, "worker.set_aside")), "the objective set aside")
    [attempt] = trial_of(database, job).attempts
    assert trial_of(database, job).state is TrialState.RUNNING
    assert str(attempt.reason).startswith(f"its worker cannot train fickle: {SAID} ImportError: no such library here")
    [event] = worker_events(database, "worker.set_aside")
    [shown] = workers_of(database)
    assert (event["worker"], event["id"], event["objective"]) == (shown.name, str(shown.id), "fickle")
    assert event["reason"].startswith(SAID)
    assert "fickle" not in shown.objectives
    assert shown.set_aside["fickle"].startswith(SAID)
    start_worker(STRIDE_OBJECTIVE_MODULES=MODULES)
    wait_until(lambda: is_completed(database, job), "the end of the job")  # the lease would last a minute
    with database.transaction() as conn:
        trials = trial_reader.page(conn, job, limit=10)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert [attempt.outcome for attempt in trials[0].attempts] == [Outcome.RELEASED, Outcome.FINISHED]
    assert len({attempt.worker for attempt in trials[0].attempts}) == 2
    # It goes on with what it can train.
    other = stepping_job(database, epochs=2, epoch_s=0.0)
    wait_until(lambda: is_completed(database, other), "the end of the other job")
    assert unfit.is_running()


def test_an_objective_set_aside_is_shown_and_offered_again_when_it_can_be_trained(
    database: Database, database_url: str, unfit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "TRY_AGAIN_S", 0.2)
    job = fickle_job(database, max_attempts=1)
    with TestClient(create_app(Settings.model_validate({"objective_modules": MODULES}), database), "http://127.0.0.1") as client:

        def shown() -> dict[str, Any]:
            [worker] = client.get("/v1/workers").json()["items"]
            return dict(worker)

        with working(database_url):
            wait_until(lambda: bool(worker_events(database, "worker.set_aside")), "the objective set aside")
            assert shown()["set_aside"]["fickle"].startswith(SAID)
            assert "fickle" not in shown()["objectives"]
            assert client.get(f"/v1/jobs/{job.id}").json()["waiting_for"] == "a worker that offers fickle"
            unfit.unlink()
            wait_until(lambda: is_completed(database, job), "the end of the job")
            assert shown()["set_aside"] == {}
            assert "fickle" in shown()["objectives"]
    assert len(worker_events(database, "worker.set_aside")) == 1, "one event, however often it tries"
    assert [event["objective"] for event in worker_events(database, "worker.fit")] == ["fickle"]


def test_a_module_that_is_gone_when_a_trainer_starts_is_no_fault_of_the_trial(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's module is read by the worker, and again by each trainer process: the latter exits then."""
    monkeypatch.setattr(loop, "TRY_AGAIN_S", 0.2)
    module = tmp_path / "users_objective.py"
    text = (
        "from dataclasses import replace\nfrom tests.integration.worker.fickle import FICKLE\n"
        "from tests.quadratic import start\nOBJECTIVES = (replace(FICKLE, module='users_objective'),)\n"
    )
    module.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    job = fickle_job(database, max_attempts=1)
    options = Settings.model_validate({"objective_modules": "users_objective", "device": "cpu"})
    assert options.objective_modules == ("users_objective",)
    import users_objective  # type: ignore[import-not-found]

    assert users_objective.OBJECTIVES
    module.unlink()
    with working(database_url, objective_modules="users_objective"):
        wait_until(lambda: bool(worker_events(database, "worker.set_aside")), "the objective set aside")
        assert trial_of(database, job).state is TrialState.RUNNING
        module.write_text(text)
        wait_until(lambda: is_completed(database, job), "the end of the job")
    with database.transaction() as conn:
        assert [trial.state for trial in trial_reader.page(conn, job, limit=10)] == [TrialState.COMPLETE] * 3


def test_an_exception_on_a_worker_whose_disk_cannot_be_written_is_the_workers_fault(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.write_text("a file where the folder should be")
    job = stepping_job(database, epoch_s=0.0, settings={"raise_at": 2}, max_attempts=1)
    with supervised(database, folder=folder, interval_s=60) as worker:
        with pytest.raises(Unfit, match="cannot be written") as unfit:
            worker.run_trial()
        assert unfit.value.objective == "quadratic"
    trial = trial_of(database, job)
    assert trial.state is TrialState.RUNNING
    assert "its worker cannot train quadratic" in str(trial.attempts[0].reason)


@pytest.mark.parametrize("how", ["start raises", "end of file"])
def test_an_exception_of_its_own_fails_the_trial_and_sets_nothing_aside(database: Database, how: str) -> None:
    job = odd_job(database, how)
    with supervised(database) as worker:
        trainer = worker.trainer_pid
        worker.run_trial()
        assert worker.trainer_pid == trainer, "the trainer is kept warm"
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert trial.error.type in ("ValueError", "EOFError")
    assert told(database, job, "trial.failed")


def test_a_trial_that_breaks_its_process_is_not_the_workers_fault(database: Database) -> None:
    """As an error on a GPU does: nothing can be trained in that process any more, but in the next one it can."""
    job = odd_job(database, "breaks its process")
    with supervised(database) as worker:
        trainer = worker.trainer_pid
        worker.run_trial()
        assert worker.trainer_pid != trainer
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert trial.error.message == "told to break everything"

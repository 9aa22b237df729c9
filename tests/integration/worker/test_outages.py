"""What a worker does when the database's reply is lost, or late. In this process, with a real trainer."""

import math
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
import structlog

from objectives.catalog import load_catalog
from service.dispatch import lifecycle
from service.dispatch.claim import Claimer
from service.domain.lease import Outcome
from service.domain.trial import Trial, TrialState
from service.errors import DatabaseUnavailable
from service.settings import Settings
from service.store import measurements, trial_reader
from service.store.postgres import Database
from service.worker.checkpointing import CheckpointSettings
from service.worker.lease import Pace
from service.worker.loop import Worker
from service.worker.supervise import TrialSupervisor
from service.worker.trainer.kept import KeptTrainer
from service.worker.trainer.process import TrainerProcess
from tests.factories import submit_job
from tests.integration.dispatch.training import claimed
from tests.polling import wait_until
from tests.tcp_proxy import Mode, TcpProxy

MODULES = ("tests.quadratic",)


@pytest.fixture
def proxy(database_url: str) -> Iterator[TcpProxy]:
    with TcpProxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: TcpProxy) -> Iterator[Database]:
    """The database through the proxy."""
    database = Database(proxy.url, timeout_s=2)
    yield database
    database.close()


@pytest.fixture
def worker(behind: Database) -> Worker:
    worker = Worker(behind, Settings(objective_modules=MODULES))
    assert worker._claim() is None  # connected
    return worker


def lose_the_reply(proxy: TcpProxy, worker: Worker) -> None:
    """Have the worker claim, and lose the reply to its commit."""
    proxy.when(b"COMMIT", Mode.LOSE_REPLY)
    with pytest.raises(DatabaseUnavailable):
        worker._claim()
    proxy.when(b"", Mode.PASS)
    proxy.mode = Mode.PASS


def test_a_claim_whose_reply_was_lost_is_found_again(database: Database, proxy: TcpProxy, worker: Worker) -> None:
    job = submit_job(database)
    lose_the_reply(proxy, worker)
    claim = worker._claim()
    assert claim is not None
    assert (claim.lease.number, claim.lease.attempt) == (0, 1)
    following = worker._claim()
    assert following is not None
    assert following.lease.number == 1
    with database.transaction() as conn:
        assert len(trial_reader.page(conn, job, limit=10)) == 2


def test_a_claim_whose_reply_was_lost_and_whose_job_has_ended_since_is_let_go(
    database: Database, proxy: TcpProxy, worker: Worker
) -> None:
    job = submit_job(database)
    lose_the_reply(proxy, worker)
    with database.transaction() as conn:
        lifecycle.cancel(conn, job.id)
    other = submit_job(database)
    claim = worker._claim()
    assert claim is not None
    assert claim.job.id == other.id


def test_a_claim_that_was_never_made_is_made_after_the_outage(database: Database, proxy: TcpProxy, worker: Worker) -> None:
    submit_job(database)
    proxy.mode = Mode.RESET
    with pytest.raises(DatabaseUnavailable):
        worker._claim()
    proxy.mode = Mode.PASS
    claim = worker._claim()
    assert claim is not None
    assert (claim.lease.number, claim.lease.attempt) == (0, 1)


@pytest.fixture
def supervisor(behind: Database) -> Iterator[TrialSupervisor]:
    """Sees trials through as a worker does, with a trainer that is warm."""
    claimer = Claimer(behind, uuid4(), ["quadratic"], lease_s=60)
    trainer = KeptTrainer(lambda: TrainerProcess(MODULES))
    supervisor = TrialSupervisor(
        behind,
        claimer,
        load_catalog(MODULES),
        trainer,
        pace=Pace(heartbeat_s=20, lease_s=60, device="cpu"),
        keep=CheckpointSettings(interval_s=60, folder=None, max_bytes=1_000_000),
        on_heartbeat=lambda: None,
        seconds_left=lambda: math.inf,
    )
    submit_job(behind, budget={"trials": 1})
    supervisor.run_trial(claimed(claimer))
    yield supervisor
    trainer.end()


@pytest.mark.parametrize("settings", [{}, {"raise_at": 2}, {"kill_at": 1}])
def test_an_end_of_a_trial_whose_reply_was_lost_is_no_lost_lease(
    database: Database, proxy: TcpProxy, behind: Database, supervisor: TrialSupervisor, settings: dict[str, int]
) -> None:
    job = submit_job(database, objective={"name": "quadratic", "settings": settings}, budget={"trials": 1}, max_attempts=2)
    claim = claimed(Claimer(behind, uuid4(), ["quadratic"], lease_s=60))

    def restore() -> None:
        wait_until(lambda: proxy.mode is Mode.LOSE_REPLY, "the commit")
        wait_until(lambda: trial().attempts[0].ended_at is not None, "the end of the attempt")
        proxy.when(b"", Mode.PASS)
        proxy.mode = Mode.PASS

    def trial() -> Trial:
        with database.transaction() as conn:
            return trial_reader.get(conn, job, 0)

    restoring = threading.Thread(target=restore)
    restoring.start()
    proxy.when(b"COMMIT", Mode.LOSE_REPLY)  # the trial is quick: the first thing that is committed is its end
    with structlog.testing.capture_logs() as logs:
        supervisor.run_trial(claim)
    restoring.join()
    assert [entry["event"] for entry in logs].count("database.unavailable") >= 1
    assert "lease.lost" not in [entry["event"] for entry in logs]
    assert trial().state is (TrialState.FAILED if settings else TrialState.COMPLETE)
    outcomes = [attempt.outcome for attempt in trial().attempts]
    assert outcomes == ([Outcome.TRAINER_DIED] * 2 if "kill_at" in settings else [Outcome.FINISHED])


def test_past_its_lease_a_run_is_held_until_the_database_answers(
    database: Database, proxy: TcpProxy, behind: Database, supervisor: TrialSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_pace", Pace(heartbeat_s=0.1, lease_s=0.3, device="cpu"))
    space = {"learning_rate": 0.1, "epochs": 50, "momentum": {"type": "float", "low": 0.0, "high": 0.9}}
    objective = {"name": "quadratic", "settings": {"epoch_s": 0.02}}
    job = submit_job(database, objective=objective, search_space=space, budget={"trials": 1})
    claim = claimed(Claimer(behind, uuid4(), ["quadratic"], lease_s=0.3))
    proxy.mode = Mode.RESET

    def heal() -> None:
        time.sleep(1.5)  # enough for 50 steps, if they were taken
        proxy.mode = Mode.PASS

    healing = threading.Thread(target=heal)
    healing.start()
    supervisor.run_trial(claim)
    healing.join()
    with database.transaction() as conn:
        trial = trial_reader.get(conn, job, 0)
        assert trial.state is TrialState.COMPLETE
        assert [attempt.outcome for attempt in trial.attempts] == [Outcome.FINISHED]
        curve = measurements.of_trial(conn, trial_reader.trial_id(conn, job, 0))
    assert [item.step for item in curve] == list(range(1, 51))
    assert max(item.seconds for item in curve) < 1, "no step was under way while the run was held"

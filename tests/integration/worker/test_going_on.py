"""Runs that were killed go on from their checkpoints bit for bit: a run by itself, and trials of workers."""

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from service.domain.job import Job, JobState
from service.domain.lease import Outcome
from service.store import jobs
from service.store.postgres import Database
from service.worker.trainer.messages import Checkpointed, CheckpointPlace, Measured, Resume, Resumed, Train, Trained
from service.worker.trainer.process import TrainerProcess
from tests.factories import submit_job
from tests.integration.worker.checkpoints import assert_complete, files
from tests.integration.worker.conftest import Start, WorkerProcess
from tests.integration.worker.supervised import (
    MODULES,
    curve_of,
    heard,
    seeded,
    stepping_job,
    told,
    trial_of,
)
from tests.polling import wait_until

DEADLINE_S = 60.0

RUNS: dict[str, dict[str, Any]] = {
    "mlp": {
        "objective": "image-classification",
        "settings": {"dataset": "digits", "model": "mlp"},
        "params": {"learning_rate": 0.02, "epochs": 5, "batch_size": 64, "momentum": 0.9},
    },
    "cnn": {
        "objective": "image-classification",
        "settings": {"dataset": "digits", "model": "cnn"},
        "params": {"learning_rate": 0.02, "epochs": 4, "batch_size": 128, "momentum": 0.5},
    },
    "without torch": {"objective": "quadratic", "settings": {}, "params": {"learning_rate": 0.02, "epochs": 5}},
    "numpy": {"objective": "quadratic", "settings": {"state": "numpy"}, "params": {"learning_rate": 0.02, "epochs": 5}},
}


# A run by itself: trainer processes, no database.


def train(trainer: TrainerProcess, name: str, *, checkpoint_s: float = math.inf, resume: Resume | None = None) -> list[Any]:
    """All that the trainer tells of a run."""
    trainer.send(
        1,
        Train(
            seed=3,
            device="cpu",
            threads=1,
            parts=None,
            hold_at=math.inf,
            checkpoint_s=checkpoint_s,
            place=CheckpointPlace(folder=None, name="0-0", max_bytes=10_000_000),
            resume=resume,
            **RUNS[name],
        ),
    )
    said: list[Any] = []
    while not said or not isinstance(said[-1], Trained):
        said.append(heard(trainer, DEADLINE_S))
        assert isinstance(said[-1], Measured | Checkpointed | Resumed | Trained), said[-1]
    return said


def result(said: list[Any]) -> tuple[dict[int, str], str]:
    """Every step's measurement but for its time, and the test metrics."""
    items = [message.measurement for message in said if isinstance(message, Measured)]
    return {item.step: f"{seeded(item)} {item.divergence}" for item in items}, repr(said[-1])


def test_a_run_that_was_killed_goes_on_in_another_process_bit_for_bit() -> None:
    calm: dict[str, list[Any]] = {}
    checkpointed: dict[str, list[Any]] = {}
    killed = TrainerProcess(MODULES)
    try:
        for name in RUNS:
            calm[name] = train(killed, name)
            checkpointed[name] = train(killed, name, checkpoint_s=0.0)
            assert result(checkpointed[name]) == result(calm[name]), "taking checkpoints changes nothing"
        os.kill(killed.pid, signal.SIGKILL)
    finally:
        killed.end()
    other = TrainerProcess(MODULES)
    try:
        for name in RUNS:
            steps, test_metrics = result(calm[name])
            taken = [item.checkpoint for item in checkpointed[name] if isinstance(item, Checkpointed)]
            assert [checkpoint.step for checkpoint in taken] == list(steps)
            assert taken[0].content is not None
            assert taken[0].content.startswith(b"{" if name == "without torch" else b"PK")
            for checkpoint in (taken[1], taken[-1]):
                said = train(other, name, resume=Resume(checkpoint=checkpoint, before=checkpoint.step / len(steps)))
                assert isinstance(said[0], Resumed)
                rest = {step: told for step, told in steps.items() if step > checkpoint.step}
                assert result(said) == (rest, test_metrics), (name, checkpoint.step)
    finally:
        other.end()


# From end to end: workers that are killed.


EPOCHS = 10


def digits_job(database: Database) -> Job:
    return submit_job(
        database,
        objective={"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}},
        search_space={"learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1}, "batch_size": 8, "epochs": EPOCHS},
        metric="validation_loss",
        budget={"trials": 1},
        seed=5,
    )


def newest_step(database: Database, job: Job) -> int:
    with database.transaction() as conn:
        query = "SELECT coalesce(max(step), 0) FROM stride.checkpoints WHERE kind = 'state' AND job_id = %(id)s"
        step: int = conn.exec_driver_sql(query, {"id": job.id}).scalar_one()
        return step


def wait_for_end(database: Database, job: Job) -> None:
    def is_completed() -> bool:
        with database.transaction() as conn:
            return jobs.get(conn, job.id).state is JobState.COMPLETED

    wait_until(is_completed, "the end of the job")


def stored_result(database: Database, job: Job) -> Any:
    """All of the first trial that a fixed seed determines."""
    trial = trial_of(database, job)
    steps = list(map(seeded, curve_of(database, job)))
    return repr((trial.params, trial.state, trial.value, sorted(trial.user_attrs.items()), steps))


def kill_after_a_checkpoint(database: Database, job: Job, worker: WorkerProcess) -> int:
    """SIGKILL the worker in the midst of the job; returns the step of the newest checkpoint."""
    wait_until(lambda: newest_step(database, job) > 1, "a checkpoint")  # training begins when torch is imported
    worker.signal(signal.SIGKILL)
    worker.wait()
    step = newest_step(database, job)
    assert step < EPOCHS, "the trial was not over"
    return step


def test_a_trial_whose_worker_was_killed_has_the_result_of_one_that_was_left_alone(
    database: Database, start_worker: Start, tmp_path: Path
) -> None:
    often = {"STRIDE_CHECKPOINT_S": "0.01"}
    in_folder = often | {"STRIDE_CHECKPOINT_DIR": str(tmp_path / "checkpoints")}
    in_database = digits_job(database)
    killed_at = {in_database.id: kill_after_a_checkpoint(database, in_database, start_worker(**often))}
    second = start_worker(**in_folder)
    wait_for_end(database, in_database)
    in_files = digits_job(database)
    killed_at[in_files.id] = kill_after_a_checkpoint(database, in_files, second)
    assert files(tmp_path / "checkpoints")
    start_worker(**in_folder)
    wait_for_end(database, in_files)
    calm = digits_job(database)
    wait_for_end(database, calm)
    for job in (in_database, in_files):
        attempts = trial_of(database, job).attempts
        assert [attempt.outcome for attempt in attempts] == [Outcome.VANISHED, Outcome.FINISHED]
        assert [attempt.from_step for attempt in attempts] == [None, killed_at[job.id]]
        assert stored_result(database, job) == stored_result(database, calm)
    assert len(trial_of(database, calm).attempts) == 1


@pytest.mark.parametrize(
    ("state", "event"),
    [("numpy", "trial.resumed"), ("without position", "checkpoint.passed_over"), ("empty", "checkpoint.failed")],
)
def test_a_trial_whose_worker_was_killed_completes_whatever_its_state_is_made_of(
    database: Database, start_worker: Start, state: str, event: str
) -> None:
    job = stepping_job(database, epoch_s=0.3, settings={"state": state})
    victim = start_worker(STRIDE_CHECKPOINT_S="0.01")
    wait_until(lambda: bool(told(database, job, "trial.started")), "the trial")
    wait_until(lambda: len(curve_of(database, job)) > 3, "some steps")
    victim.signal(signal.SIGKILL)
    victim.wait()
    start_worker(STRIDE_CHECKPOINT_S="0.01")
    wait_for_end(database, job)
    attempts = trial_of(database, job).attempts
    assert [attempt.outcome for attempt in attempts] == [Outcome.VANISHED, Outcome.FINISHED]
    assert (attempts[1].from_step is not None) == (state == "numpy")
    assert told(database, job, event)
    assert_complete(database, job)

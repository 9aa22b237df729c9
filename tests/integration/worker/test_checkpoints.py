"""Trials that go on from their checkpoints: bit for bit, from the one before a damaged one, and whatever the disk does."""

import hashlib
import io
import math
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
import sqlalchemy as sa
import torch

from service.dispatch import lifecycle
from service.dispatch.sweeper import tidy_up
from service.domain.checkpoint import Kind
from service.domain.job import Job, JobState
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.store import checkpoint_files, jobs, leases
from service.store.postgres import Database
from service.worker import checkpointing
from service.worker.trainer import checkpoint_format
from service.worker.trainer.messages import Checkpointed, CheckpointPlace, Measured, Resume, Resumed, Train, Trained
from service.worker.trainer.process import TrainerProcess
from tests.factories import measurement, submit_job
from tests.integration.dispatch.training import claimed, claimer_of
from tests.integration.worker.conftest import Start, WorkerProcess
from tests.integration.worker.supervised import (
    MODULES,
    Supervised,
    curve_of,
    heard,
    odd_job,
    seeded,
    stepping_job,
    supervised,
    told,
    trial_of,
)
from tests.polling import wait_until
from tests.tcp_proxy import TcpProxy

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

    wait_until(is_completed, "the end of the job", deadline_s=40)


def stored_result(database: Database, job: Job) -> Any:
    """All of the first trial that a fixed seed determines."""
    trial = trial_of(database, job)
    steps = list(map(seeded, curve_of(database, job)))
    return repr((trial.params, trial.state, trial.value, sorted(trial.user_attrs.items()), steps))


def kill_after_a_checkpoint(database: Database, job: Job, worker: WorkerProcess) -> int:
    """SIGKILL the worker in the midst of the job; returns the step of the newest checkpoint."""
    wait_until(lambda: newest_step(database, job) > 1, "a checkpoint", deadline_s=40)
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


# One attempt after the other.


@pytest.fixture(params=["database", "folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "checkpoints" if request.param == "folder" else None


@pytest.fixture
def worker(database: Database, folder: Path | None) -> Iterator[Supervised]:
    with supervised(database, folder=folder) as worker:
        yield worker


def states(database: Database) -> list[tuple[int, int, str | None]]:
    """Id, step and path of the checkpoints to go on from, the newest first."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql("SELECT id, step, path FROM stride.checkpoints WHERE kind = 'state' ORDER BY id DESC")
        return [(row.id, row.step, row.path) for row in rows]


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


Damage = Callable[[bytes], bytes | None]

DAMAGES: dict[str, Damage] = {
    "flipped": lambda content: content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "deleted": lambda content: None,
}


def damage(database: Database, folder: Path | None, checkpoint: tuple[int, int, str | None], how: Damage) -> None:
    """What a disk or a hand may do to a checkpoint; the row's sha256 stays."""
    id_, _, path = checkpoint
    if folder is not None:
        content = how((folder / str(path)).read_bytes())
        (folder / str(path)).unlink() if content is None else (folder / str(path)).write_bytes(content)
        return
    with database.transaction() as conn:
        before = conn.exec_driver_sql("SELECT content FROM stride.checkpoints WHERE id = %(id)s", {"id": id_}).scalar_one()
        content = how(bytes(before))
        if content is None:
            conn.exec_driver_sql("DELETE FROM stride.checkpoints WHERE id = %(id)s", {"id": id_})
        else:
            row = {"id": id_, "content": content}
            conn.exec_driver_sql("UPDATE stride.checkpoints SET content = %(content)s WHERE id = %(id)s", row)


def assert_complete(database: Database, job: Job, epochs: int = 12) -> None:
    """Every step was measured, whatever happened in between."""
    trial, curve = trial_of(database, job), curve_of(database, job)
    assert trial.state is TrialState.COMPLETE
    assert [item.step for item in curve] == list(range(1, epochs + 1))
    assert trial.value == curve[-1].metrics["loss"]


def test_the_attempt_shows_from_which_step_it_went_on(database: Database, worker: Supervised) -> None:
    job = stepping_job(database)
    last = worker.pause_after(job, 3)
    assert states(database)[0][1] == last, "it was checkpointed at the end of the step under way"
    worker.run_trial()
    assert [attempt.from_step for attempt in trial_of(database, job).attempts] == [None, last]
    assert told(database, job, "trial.resumed") == [{"trial": 0, "attempt": 2, "step": last}]
    assert_complete(database, job)


@pytest.mark.parametrize("interval_s", [0.0, 60.0], ids=["from the database", "from what is still to be stored"])
def test_the_value_of_a_run_that_kept_an_earlier_steps_weights_is_looked_up(
    database: Database, monkeypatch: pytest.MonkeyPatch, interval_s: float
) -> None:
    monkeypatch.setattr("service.worker.lease.FLUSH_S", 60.0)
    job = stepping_job(database, epochs=4, epoch_s=0.0, settings={"keep_step": 2})
    with supervised(database, interval_s=interval_s, heartbeat_s=60.0) as worker:
        worker.run_trial()
    trial, curve = trial_of(database, job), curve_of(database, job)
    assert [item.best_step for item in curve] == [None, 2, 2, 2]
    assert (trial.value, trial.user_attrs["best_step"]) == (curve[1].metrics["loss"], 2)


def test_a_later_attempt_knows_the_value_of_a_step_that_an_earlier_one_measured(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, settings={"keep_step": 2})
    worker.pause_after(job, 3)
    worker.run_trial()
    trial, curve = trial_of(database, job), curve_of(database, job)
    assert (trial.attempts[-1].from_step or 0) >= 3
    assert (trial.value, trial.user_attrs["best_step"]) == (curve[1].metrics["loss"], 2)


def test_a_run_that_has_gone_through_before_its_attempt_ended_still_has_the_value_of_the_step_it_kept(
    database: Database, worker: Supervised
) -> None:
    """Nothing is left to be measured: all that the next attempt knows of it is stored."""
    job = stepping_job(database, epochs=4, epoch_s=0.0, settings={"keep_step": 2})
    claim = claimed(claimer_of(database))
    curve = [measurement(step, loss=step / 10, best_step=None if step < 2 else 2) for step in (1, 2, 3, 4)]
    content = checkpoint_format.encode({"done": 4})
    state = checkpoint_format.keep(content, Kind.STATE, 4, CheckpointPlace(folder=None, name="", max_bytes=1_000))
    database.transact(lambda conn: checkpointing.save(conn, claim, state, curve, lease_s=60))
    database.transact(lambda conn: leases.release(conn, claim.lease, "just then"))
    worker.run_trial()
    trial = trial_of(database, job)
    assert [attempt.from_step for attempt in trial.attempts] == [None, 4]
    assert (trial.state, trial.value, trial.user_attrs["best_step"]) == (TrialState.COMPLETE, 0.2, 2)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    database: Database, worker: Supervised, folder: Path | None, how: str
) -> None:
    job = stepping_job(database)
    worker.pause_after(job, 3)
    newest, before = states(database)
    damage(database, folder, newest, DAMAGES[how])
    worker.run_trial()
    assert [attempt.from_step for attempt in trial_of(database, job).attempts] == [None, before[1]]
    if (folder, how) != (None, "deleted"):
        [event] = told(database, job, "checkpoint.damaged")
        assert (event["trial"], event["attempt"], event["step"]) == (0, 2, newest[1])
        assert event["reason"]
    assert_complete(database, job)


def test_when_both_checkpoints_are_damaged_the_trial_starts_from_the_beginning(
    database: Database, worker: Supervised, folder: Path | None
) -> None:
    job = stepping_job(database)
    worker.pause_after(job, 3)
    for checkpoint in states(database):
        damage(database, folder, checkpoint, DAMAGES["flipped"])
    worker.run_trial()
    assert [attempt.from_step for attempt in trial_of(database, job).attempts] == [None, None]
    assert len(told(database, job, "checkpoint.damaged")) == 2
    assert_complete(database, job)


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._place),)


def test_a_checkpoint_that_would_run_code_is_not_run_though_its_sha256_is_right(database: Database, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"done": Bomb(tmp_path / "ran")}, buffer)
    content = buffer.getvalue()
    with supervised(database) as worker:
        job = stepping_job(database)
        worker.pause_after(job, 3)
        newest, before = states(database)
        with database.transaction() as conn:
            conn.exec_driver_sql(
                "UPDATE stride.checkpoints SET content = %(content)s, size = %(size)s, sha256 = %(sha256)s WHERE id = %(id)s",
                {"content": content, "size": len(content), "sha256": hashlib.sha256(content).digest(), "id": newest[0]},
            )
        worker.run_trial()
    assert not (tmp_path / "ran").exists()
    assert trial_of(database, job).attempts[1].from_step == before[1]
    assert len(told(database, job, "checkpoint.damaged")) == 1
    assert_complete(database, job)


def test_a_state_of_another_objective_is_no_state_to_go_on_from(database: Database) -> None:
    content = b'{"another": 1}'
    with supervised(database) as worker:
        job = stepping_job(database)
        worker.pause_after(job, 3)
        with database.transaction() as conn:
            conn.exec_driver_sql(
                "UPDATE stride.checkpoints SET content = %(content)s, size = %(size)s, sha256 = %(sha256)s",
                {"content": content, "size": len(content), "sha256": hashlib.sha256(content).digest()},
            )
        worker.run_trial()
    assert [event["reason"] for event in told(database, job, "checkpoint.passed_over")] == ["KeyError: 'done'"] * 2
    assert_complete(database, job)


def test_a_checkpoint_in_a_folder_is_gone_on_from_only_where_the_folder_is(database: Database, tmp_path: Path) -> None:
    job = stepping_job(database)
    with supervised(database, folder=tmp_path) as worker:
        worker.pause_after(job, 3)
    with supervised(database) as worker:
        worker.run_trial()
    assert trial_of(database, job).attempts[1].from_step is None
    assert "STRIDE_CHECKPOINT_DIR is not set" in told(database, job, "checkpoint.passed_over")[0]["reason"]
    assert_complete(database, job)


def test_a_checkpoint_that_one_worker_cannot_reach_is_left_for_those_who_can(database: Database, tmp_path: Path) -> None:
    job = stepping_job(database)
    with supervised(database, folder=tmp_path) as worker:
        worker.pause_after(job, 3)
    kept = states(database)
    with supervised(database, interval_s=60) as lacking, lacking.under_way():
        wait_until(lambda: len(told(database, job, "checkpoint.passed_over")) == len(kept), "the start from the beginning")
    assert states(database) == kept
    assert told(database, job, "checkpoint.damaged") == []
    assert_complete(database, job)


# What is kept.


def test_the_two_newest_checkpoints_of_a_trial_are_kept_and_none_when_it_has_ended(
    database: Database, worker: Supervised, folder: Path | None
) -> None:
    job = stepping_job(database, epochs=30, epoch_s=0.03)
    most = 0
    with worker.under_way():
        while trial_of(database, job).state is TrialState.RUNNING:
            steps = [step for _, step, _ in states(database)]
            most = max(most, len(steps))
            assert steps in ([], [1]) or steps == [steps[0], steps[0] - 1]
    assert most == 2
    if folder is not None:
        assert files(folder) == {path for _, _, path in states(database)}
    checkpoint_files.delete(folder, tidy_up(database))
    assert states(database) == []
    assert folder is None or files(folder) == set()


def test_a_trial_that_is_not_due_takes_no_checkpoint(database: Database) -> None:
    job = stepping_job(database, epochs=4, epoch_s=0.0)
    with supervised(database, interval_s=60) as worker:
        worker.run_trial()
    assert_complete(database, job, epochs=4)
    assert states(database) == []


# What cannot be written.


def assert_goes_through_without_checkpoints(database: Database, job: Job, said: str, epochs: int = 12) -> None:
    found = told(database, job, "checkpoint.failed")
    assert found
    assert found[0]["step"] == 1, "it is known at the first one"
    assert all(said in event["reason"] for event in found), found
    assert states(database) == []
    trial = trial_of(database, job)
    assert trial.state is TrialState.COMPLETE
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.FINISHED]


def test_a_checkpoint_too_large_for_the_database_is_an_event_that_names_the_setting(database: Database) -> None:
    job = stepping_job(database, epochs=4, epoch_s=0.0)
    with supervised(database, max_bytes=5) as worker:
        worker.run_trial()
    assert_goes_through_without_checkpoints(database, job, "STRIDE_CHECKPOINT_MAX_BYTES")
    assert_complete(database, job, epochs=4)


@pytest.mark.parametrize(
    ("how", "said"), [("array in its state", "cannot be read"), ("state raises", "RuntimeError: no state to be had")]
)
def test_an_objective_whose_state_cannot_be_kept_is_told_so_at_its_first_checkpoint_and_goes_through(
    database: Database, how: str, said: str
) -> None:
    job = odd_job(database, how)
    with supervised(database) as worker:
        worker.run_trial()
    assert_goes_through_without_checkpoints(database, job, said)


def test_a_folder_that_cannot_be_written_is_an_event_and_the_trial_completes(database: Database, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    job = stepping_job(database, epochs=4, epoch_s=0.0)
    with supervised(database, folder=tmp_path / "checkpoints") as worker:
        worker.run_trial()
    assert_goes_through_without_checkpoints(database, job, "checkpoints")
    assert_complete(database, job, epochs=4)


def test_a_checkpoint_cut_short_by_the_disk_leaves_no_part_of_it_and_the_trial_completes(
    database: Database, tmp_path: Path
) -> None:
    job = stepping_job(database, epochs=4, epoch_s=0.0)
    with supervised(database, folder=tmp_path) as worker:
        resource.prlimit(worker.trainer_pid, resource.RLIMIT_FSIZE, (5, 5))
        worker.run_trial()
    assert_goes_through_without_checkpoints(database, job, "File too large")
    assert_complete(database, job, epochs=4)
    assert files(tmp_path) == set()


def test_on_a_full_disk_trials_go_through_and_checkpoints_are_taken_again_when_there_is_room(
    database: Database, tmp_path: Path
) -> None:
    job = stepping_job(database, epochs=6, epoch_s=0.0)
    with supervised(database, folder=tmp_path) as worker:
        claim = worker.claim()
        (tmp_path / str(job.id)).mkdir()
        for step in (1, 2, 3):  # what is written there finds no space left, whoever runs the tests
            (tmp_path / str(job.id) / f".0-{claim.lease.id}-{step}.checkpoint.part").symlink_to("/dev/full")
        worker.supervisor.run_trial(claim)
    failed = told(database, job, "checkpoint.failed")
    assert [event["step"] for event in failed] == [1, 2, 3]
    assert all("No space left on device" in event["reason"] for event in failed)
    assert [step for _, step, _ in states(database)] == [6, 5]
    assert_complete(database, job, epochs=6)
    assert files(tmp_path) == {path for _, _, path in states(database)}, "no half file is left"


def test_a_checkpoint_that_the_network_is_too_slow_for_is_an_event_and_the_trial_completes(
    database: Database, database_url: str
) -> None:
    job = odd_job(database, "large state")
    with TcpProxy(database_url) as proxy:
        proxy.latency_s = 0.015  # of each 64 kB
        behind = Database(proxy.url, timeout_s=1.0)
        with supervised(behind, max_bytes=10_000_000) as worker, worker.under_way():
            wait_until(lambda: trial_of(database, job).state is TrialState.COMPLETE, "the end of the trial")
        behind.close()
    assert_goes_through_without_checkpoints(database, job, "the database did not take its 4,000,013 bytes")


# Told to stop while a step takes long.


@pytest.fixture
def quick(database: Database) -> Iterator[Supervised]:
    """Stores its checkpoints in the database."""
    with supervised(database) as worker:
        yield worker


@pytest.mark.parametrize("action", [lifecycle.pause, lifecycle.cancel], ids=["pause", "cancel"])
def test_a_step_that_outlasts_a_pause_or_a_cancel_is_ended_within_two_seconds_and_the_checkpoint_stands(
    database: Database, quick: Supervised, action: Callable[[sa.Connection, UUID], None]
) -> None:
    job = stepping_job(database, settings={"hang_at": 3})
    with quick.under_way():
        wait_until(lambda: [step for _, step, _ in states(database)] == [2, 1], "the second checkpoint")
        trainer = quick.trainer_pid
        database.transact(partial(action, job_id=job.id))
        told_at = time.monotonic()
    # It learns of it at its next heartbeat, 0.2 s, and looks up every half second.
    assert 1.0 < time.monotonic() - told_at < 2 + 0.2 + 0.5 + 0.8
    assert quick.trainer_pid != trainer
    assert not psutil.pid_exists(trainer)
    assert [step for _, step, _ in states(database)] == [2, 1]
    if action is lifecycle.cancel:
        assert trial_of(database, job).state is TrialState.PRUNED
        return
    [attempt] = trial_of(database, job).attempts
    assert (attempt.outcome, attempt.reason) == (None, "its job was paused; the step under way was given up")
    database.transact(partial(lifecycle.resume, job_id=job.id))
    with quick.under_way():
        wait_until(lambda: trial_of(database, job).attempts[-1].from_step == 2, "its start from the checkpoint")
        database.transact(partial(lifecycle.cancel, job_id=job.id))


@pytest.mark.parametrize("action", [lifecycle.pause, lifecycle.cancel], ids=["pause", "cancel"])
def test_a_step_that_ends_soon_is_waited_for_and_the_trainer_is_kept(
    database: Database, quick: Supervised, action: Callable[[sa.Connection, UUID], None]
) -> None:
    job = stepping_job(database, epochs=1_000, epoch_s=0.3)
    with quick.under_way():
        wait_until(lambda: bool(states(database)), "a checkpoint")
        trainer = quick.trainer_pid
        database.transact(partial(action, job_id=job.id))
    assert quick.trainer_pid == trainer
    if action is lifecycle.pause:
        assert states(database)[0][1] == curve_of(database, job)[-1].step, "all that was trained is in the checkpoint"

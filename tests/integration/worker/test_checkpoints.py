"""Trials that go on from their checkpoints: from the one before a damaged one, and from none that is of no use."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.dispatch import checkpointing
from service.dispatch.sweeper import tidy_up
from service.domain.checkpoint import Kind
from service.domain.trial import TrialState
from service.store import checkpoint_files, leases
from service.store.postgres import Database
from service.worker.trainer import checkpoint_format
from service.worker.trainer.messages import CheckpointPlace
from tests.factories import measurement
from tests.integration.dispatch.training import claimed, claimer_of
from tests.integration.worker.checkpoints import assert_complete, files, states
from tests.integration.worker.supervised import (
    Supervised,
    curve_of,
    log_of,
    stepping_job,
    supervised,
    told,
    trial_of,
)
from tests.polling import wait_until

# One attempt after the other.


@pytest.fixture(params=["database", "folder"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "checkpoints" if request.param == "folder" else None


@pytest.fixture
def worker(database: Database, folder: Path | None) -> Iterator[Supervised]:
    with supervised(database, folder=folder) as worker:
        yield worker


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
    import torch  # not at the top: every process of the tests imports this file

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


def test_a_state_of_numpys_arrays_and_numbers_is_gone_on_from(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, settings={"state": "numpy"})
    last = worker.pause_after(job, 3)
    worker.run_trial()
    assert [attempt.from_step for attempt in trial_of(database, job).attempts] == [None, last]
    assert told(database, job, "checkpoint.failed") == []
    assert_complete(database, job)


def test_a_run_that_does_not_restore_its_position_starts_anew_and_is_named(database: Database, worker: Supervised) -> None:
    job = stepping_job(database, settings={"state": "without position"})
    last = worker.pause_after(job, 3)
    worker.run_trial()
    trial = trial_of(database, job)
    assert [attempt.from_step for attempt in trial.attempts] == [None, None]
    assert [event["reason"] for event in told(database, job, "checkpoint.passed_over")] == [
        f"quadratic's load_state_dict did not restore the position: after step {step} the run went on with step 1"
        for step in (last, last - 1)
    ]
    assert f"The checkpoint at step {last} cannot be used: quadratic's load_state_dict" in log_of(database, job)
    assert_complete(database, job)


@pytest.mark.parametrize("step", [1, 4])
def test_a_run_without_a_state_starts_anew_when_its_trial_is_given_back(
    database: Database, worker: Supervised, step: int
) -> None:
    job = stepping_job(database, settings={"state": "empty"})
    worker.pause_after(job, step)
    assert states(database) == []
    worker.run_trial()
    assert [attempt.from_step for attempt in trial_of(database, job).attempts] == [None, None]
    failed = told(database, job, "checkpoint.failed")
    assert [(event["attempt"], event["step"]) for event in failed] == [(1, 1), (2, 1)], "once for each attempt"
    assert all("state_dict() is empty" in event["reason"] for event in failed)
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

"""Trials that are told to stop while a step of theirs takes long."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID

import psutil
import pytest
import sqlalchemy as sa

from service.dispatch import lifecycle
from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.integration.worker.checkpoints import states
from tests.integration.worker.supervised import (
    Supervised,
    curve_of,
    stepping_job,
    supervised,
    trial_of,
)
from tests.polling import wait_until


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

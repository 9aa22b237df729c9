"""A trial over several processes, through a real worker's hands."""

import os
import re
import signal

import psutil

from service.domain.job import Job
from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.factories import LEARNING_RATE, submit_job
from tests.integration.worker.supervised import Supervised, curve_of, seeded, supervised, trial_of
from tests.polling import wait_until


def _job(database: Database) -> Job:
    return submit_job(
        database,
        objective={"name": "image-classification", "settings": {"processes": 2}},
        metric="validation_loss",
        search_space={"learning_rate": LEARNING_RATE, "epochs": 25, "batch_size": 128, "dropout": 0.2},
        budget={"trials": 1},
        seed=1,
        training_seed="shared",
    )


def _ranks(worker: Supervised) -> list[psutil.Process]:
    return [each for each in psutil.Process(worker.trainer_pid).children(recursive=True) if not each.children()]


def test_a_trial_whose_rank_was_killed_goes_on_as_if_nothing_had_happened(database: Database) -> None:
    undisturbed, _in_one_process, disturbed = _job(database), submit_job(database), _job(database)
    with supervised(database) as worker:
        worker.run_trial()
        kept = _ranks(worker)
        worker.run_trial()  # which ends them, since it may need their memory
        assert (len(kept), _ranks(worker)) == (2, [])
        with worker.under_way():
            wait_until(lambda: len(curve_of(database, disturbed)) >= 2, "two steps")
            ranks = _ranks(worker)
            os.kill(max(rank.pid for rank in ranks), signal.SIGKILL)
    assert not any(rank.is_running() for rank in ranks)

    whole, trial = trial_of(database, undisturbed), trial_of(database, disturbed)
    assert whole.state is trial.state is TrialState.COMPLETE
    first, second = trial.attempts
    assert re.fullmatch("rank [01] of 2 was killed by SIGKILL", first.reason or "")
    assert second.reason is None
    assert list(map(seeded, curve_of(database, disturbed))) == list(map(seeded, curve_of(database, undisturbed)))
    assert trial.user_attrs["test_accuracy"] == whole.user_attrs["test_accuracy"] > 0.8

"""Checkpoints that cannot be written, whatever the reason: the trial completes without them."""

import resource
from pathlib import Path

import pytest

from service.domain.job import Job
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.integration.worker.checkpoints import assert_complete, files, states
from tests.integration.worker.supervised import (
    curve_of,
    log_of,
    odd_job,
    stepping_job,
    supervised,
    told,
    trial_of,
)
from tests.polling import wait_until
from tests.tcp_proxy import TcpProxy


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
    ("how", "said"),
    [
        ("object in its state", "state_dict()['share'] is a value of type fractions.Fraction"),
        ("state raises", "RuntimeError: no state to be had"),
        ("nothing odd", "state_dict() is empty"),
        ("no state", "state_dict() is None"),
    ],
)
def test_an_objective_whose_state_cannot_be_kept_is_told_so_at_its_first_checkpoint_and_goes_through(
    database: Database, how: str, said: str
) -> None:
    job = odd_job(database, how)
    with supervised(database) as worker:
        worker.run_trial()
    assert_goes_through_without_checkpoints(database, job, said)
    assert f"The checkpoint at step 1 could not be taken: {told(database, job, 'checkpoint.failed')[0]['reason']}\n" in log_of(
        database, job
    )


def test_a_state_that_cannot_be_stored_is_told_once(database: Database) -> None:
    job = odd_job(database, "object in its state")
    with supervised(database) as worker:
        worker.run_trial()
    assert len(curve_of(database, job)) == 2
    assert [event["step"] for event in told(database, job, "checkpoint.failed")] == [1]


def test_a_state_dict_that_raises_is_told_once(database: Database) -> None:
    job = stepping_job(database, epochs=4, epoch_s=0.0, settings={"state": "raises after step 1"})
    with supervised(database) as worker:
        worker.run_trial()
    told_of = [event for event in told(database, job, "checkpoint.failed") if event["reason"].startswith("state_dict() raised")]
    assert [(event["step"], event["reason"]) for event in told_of] == [
        (2, "state_dict() raised RuntimeError: no state after step 1")
    ]
    assert [step for _, step, _ in states(database)] == [1]
    assert_complete(database, job, epochs=4)


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

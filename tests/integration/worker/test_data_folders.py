"""Jobs name data files only below the folders that the operator allows."""

from functools import partial
from pathlib import Path

import pytest

from service.domain.job import FINAL, Job, JobState
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.store import jobs, leases, trial_reader
from service.store.postgres import Database
from service.worker.ending import Unfit
from tests.factories import submit_job
from tests.integration.worker.conftest import Start
from tests.integration.worker.supervised import supervised, trial_of
from tests.polling import wait_until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two words" / "images"
    path.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    path.touch()
    return path


def reading_job(database: Database, file: Path) -> Job:
    """One trial that looks for `file` before it trains."""
    return submit_job(
        database,
        objective={"name": "odd", "settings": {"how": "reads a file", "file": str(file)}},
        search_space={"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}},
        budget={"trials": 1},
    )


def test_what_lies_below_one_of_the_folders_is_read(database: Database, tmp_path: Path, file: Path) -> None:
    job = reading_job(database, file)
    with supervised(database, data_folders=[tmp_path / "elsewhere", file.parent]) as worker:
        worker.run_trial()
    assert trial_of(database, job).state is TrialState.COMPLETE


@pytest.mark.parametrize("allowed", [[], ["elsewhere"]])
def test_what_lies_outside_of_them_is_not(database: Database, tmp_path: Path, file: Path, allowed: list[str]) -> None:
    job = reading_job(database, file)
    with supervised(database, data_folders=[tmp_path / name for name in allowed]) as worker:
        worker.run_trial()
    error = trial_of(database, job).error
    assert error is not None
    assert (error.type, "lies outside the allowed folders" in error.message) == ("DataProblem", True)


def test_a_path_outside_of_them_fails_the_job_at_its_first_trial(database: Database, tmp_path: Path) -> None:
    job = submit_job(
        database,
        objective={"name": "tabular-classification", "settings": {"dataset": "csv", "path": "/etc/passwd"}},
        metric="validation_loss",
        search_space={"learning_rate": {"type": "float", "low": 0.01, "high": 0.02}, "epochs": 1, "batch_size": 4},
        budget={"trials": 6},
    )
    with supervised(database, data_folders=[tmp_path]) as worker:
        worker.run_trial()
    ended = database.transact(lambda conn: jobs.get(conn, job.id))
    assert ended.state is JobState.FAILED
    assert ended.reason == (
        "no trial of this job can be trained: DataProblem: '/etc/passwd' is refused, because it lies outside the allowed folders"
        f" (STRIDE_DATA_FOLDERS: {tmp_path})."
    )
    assert len(database.transact(lambda conn: trial_reader.page(conn, job, limit=10))) == 1


def test_a_file_that_is_not_there_fails_one_trial(database: Database, tmp_path: Path) -> None:
    """Another worker may have it."""
    job = submit_job(
        database,
        objective={"name": "tabular-classification", "settings": {"dataset": "csv", "path": "nowhere.csv"}},
        metric="validation_loss",
        search_space={"learning_rate": {"type": "float", "low": 0.01, "high": 0.02}, "epochs": 1, "batch_size": 4},
        budget={"trials": 6},
    )
    with supervised(database, data_folders=[tmp_path]) as worker:
        worker.run_trial()
    assert trial_of(database, job).state is TrialState.FAILED
    assert database.transact(lambda conn: jobs.get(conn, job.id)).state is JobState.RUNNING


def test_a_worker_hands_the_folders_of_its_settings_to_its_trainer(
    database: Database, tmp_path: Path, file: Path, start_worker: Start
) -> None:
    job = reading_job(database, file)
    start_worker(STRIDE_DATA_FOLDERS=f"{tmp_path / 'elsewhere'}, {file.parent}")
    wait_until(lambda: database.transact(lambda conn: jobs.get(conn, job.id)).state in FINAL, "the end of the job")
    assert trial_of(database, job).state is TrialState.COMPLETE


def test_the_log_of_every_trial_tells_what_was_read_and_what_was_left_out(database: Database, tmp_path: Path) -> None:
    """Also where the data are those of the trial before, which the trainer still has in memory."""
    path = tmp_path / "table.csv"
    path.write_text(",size,kind\n" + "".join(f"{row},{row * 0.5},{'ab'[row % 2]}\n" for row in range(20)))
    job = submit_job(
        database,
        objective={"name": "tabular-classification", "settings": {"dataset": "csv", "path": "table.csv"}},
        metric="validation_loss",
        search_space={"learning_rate": {"type": "float", "low": 0.01, "high": 0.02}, "epochs": 1, "batch_size": 4},
        budget={"trials": 2},
    )
    with supervised(database, data_folders=[tmp_path]) as worker:
        for number in range(2):
            worker.run_trial()
            trial_id = database.transact(partial(trial_reader.trial_id, job=job, number=number))
            assert database.transact(partial(leases.log_tail, trial_id=trial_id)).splitlines() == [
                f"Read 20 rows of 2 classes from {path}: a 10, b 10.",
                "The target is 'kind', the inputs are size.",
                f"Left out of {path}: the first column, without a name, which holds row labels.",
            ]


def test_a_folder_that_is_gone_is_the_workers_fault(database: Database, tmp_path: Path, file: Path) -> None:
    """As a network drive that does not answer: another worker may have it."""
    job = reading_job(database, file)
    with supervised(database, data_folders=[tmp_path / "elsewhere", file.parent]) as worker:
        file.parent.rename(tmp_path / "moved")
        with pytest.raises(Unfit, match=f"data folder {file.parent} cannot be read: no such file or directory"):
            worker.run_trial()
    assert trial_of(database, job).state is TrialState.RUNNING
    (tmp_path / "moved").rename(file.parent)
    with supervised(database, data_folders=[file.parent]) as worker:
        worker.run_trial()
    trial = trial_of(database, job)
    assert trial.state is TrialState.COMPLETE
    assert [attempt.outcome for attempt in trial.attempts] == [Outcome.RELEASED, Outcome.FINISHED]

"""The best trial's weights: kept by workers as they train, and served as what gave the trial its result."""

import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from starlette.testclient import TestClient

from service.app import create_app
from service.dispatch.sweeper import tidy_up
from service.domain.job import Job
from service.domain.objective import Direction
from service.domain.training_seeds import training_seed
from service.domain.trial import Trial
from service.settings import Settings
from service.store import trial_reader
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.worker.supervised import Supervised, odd_job, stepping_job, supervised, told

TRIALS = 8


def digits_job(database: Database, direction: Direction, metric: str, confirm: int = 0) -> Job:
    return submit_job(
        database,
        direction=direction,
        objective={"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}},
        search_space={"learning_rate": {"type": "float", "low": 1e-3, "high": 0.1, "log": True}, "batch_size": 128, "epochs": 2},
        metric=metric,
        budget={"trials": TRIALS, "confirm": confirm},
        seed=11,
    )


def models(database: Database) -> list[tuple[str, int]]:
    """Job and trial number of every model."""
    with database.transaction() as conn:
        rows = conn.exec_driver_sql(
            "SELECT job_id, number FROM stride.checkpoints JOIN optuna.trials USING (trial_id) WHERE kind = 'model'"
        )
        return sorted((str(row.job_id), row.number) for row in rows)


def best_of(database: Database, job: Job) -> Trial:
    with database.transaction() as conn:
        best = trial_reader.best(conn, job)
    assert best is not None
    return best


def metrics_tested_with(file: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """The metadata of a model, and the test metrics that its weights give."""
    import torch  # not at the top: every process of the tests imports this file

    from objectives.tasks.image_classification import start as start_digits

    with safe_open(file, "pt") as opened:
        metadata = {name: json.loads(text) if text[:1] == "{" else text for name, text in opened.metadata().items()}
        weights = {name: opened.get_tensor(name) for name in opened.keys()}
    threads = torch.get_num_threads()
    run: Any = start_digits(metadata["params"], metadata["settings"], int(metadata["seed"]), "cpu", 1)
    run._model.load_state_dict(weights)
    tested = run.evaluate()
    torch.set_num_threads(threads)
    return metadata, tested


@pytest.mark.parametrize("place", ["database", "folder"])
def test_workers_at_once_keep_one_model_of_each_job_and_its_weights_give_the_best_trials_result(
    database: Database, tmp_path: Path, place: str
) -> None:
    folder = None if place == "database" else tmp_path / "checkpoints"
    minimized = digits_job(database, "minimize", "validation_loss")
    maximized = digits_job(database, "maximize", "validation_accuracy")

    def work(worker: Supervised) -> None:
        for _ in range(TRIALS):
            worker.run_trial()

    with supervised(database, folder=folder, interval_s=60) as one, supervised(database, folder=folder, interval_s=60) as two:
        threads = [threading.Thread(target=work, args=(worker,)) for worker in (one, two)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            tidy_up(database)
            threads[0].join(0.05)
    for thread in threads:
        thread.join(60)
    tidy_up(database)
    best = {job.id: best_of(database, job) for job in (minimized, maximized)}
    assert models(database) == sorted((str(job_id), trial.number) for job_id, trial in best.items())
    settings = Settings.model_validate({"checkpoint_dir": folder})
    with TestClient(create_app(settings, database), "http://127.0.0.1") as client:
        for job in (minimized, maximized):
            answer = client.get(f"/v1/jobs/{job.id}/best-model")
            assert answer.status_code == 200, answer.text
            (tmp_path / "best-model").write_bytes(answer.content)
            metadata, tested = metrics_tested_with(tmp_path / "best-model")
            trial = best[job.id]
            assert metadata["params"] == dict(trial.params)
            assert (metadata["objective"], metadata["metric"]) == ("image-classification", job.spec.metric)
            assert metadata["settings"] == {"dataset": "digits", "model": "mlp"}
            assert (metadata["trial"], metadata["job"]) == (str(trial.number), str(job.id))
            assert float(metadata["value"]) == trial.value
            seed = training_seed(job.spec, number=trial.number)
            assert metadata["seed"] == str(seed)
            stored = {name: value for name, value in trial.user_attrs.items() if name != "diagnosis"}
            guessing = {"guessing": {name: math.log(10) for name in ("training_loss", "validation_loss")}}
            assert stored == {"training_seed": seed} | guessing | tested, "bit for bit the weights that were tested"


def test_the_best_weights_of_each_point_that_is_trained_again_are_kept_and_the_answered_ones_served(database: Database) -> None:
    job = digits_job(database, "minimize", "validation_loss", confirm=4)
    with supervised(database) as worker:
        for _ in range(TRIALS):
            worker.run_trial()
            tidy_up(database)
    with database.transaction() as conn:
        trials = trial_reader.page(conn, job, limit=TRIALS)
    by_candidate: dict[int, list[Trial]] = {}
    for trial in trials:
        if "candidate" in trial.user_attrs:
            by_candidate.setdefault(trial.user_attrs["candidate"], []).append(trial)
    best = [min(again, key=lambda trial: trial.value or math.inf) for again in by_candidate.values()]
    expected = {trial.number for trial in best} | {best_of(database, job).number}
    assert models(database) == sorted((str(job.id), number) for number in expected)
    with TestClient(create_app(Settings(), database), "http://127.0.0.1") as client:
        answer = client.get(f"/v1/jobs/{job.id}/best-lr").json()
        served = int(client.get(f"/v1/jobs/{job.id}/best-model").headers["x-stride-trial"])
    assert served in {trial.number for trial in best}
    assert trials[served].params["learning_rate"] == answer["learning_rate"]


@pytest.mark.parametrize("place", ["database", "folder"])
def test_where_a_run_restored_the_weights_of_an_earlier_step_these_are_served_with_the_value_of_that_step(
    database: Database, tmp_path: Path, place: str
) -> None:
    folder = None if place == "database" else tmp_path
    job = odd_job(database, "keeps weights of step 1")
    with supervised(database, folder=folder, interval_s=60) as worker:
        worker.run_trial()
    trial = best_of(database, job)
    assert (trial.value, trial.user_attrs["best_step"]) == (1.0, 1)
    with database.transaction() as conn:
        steps = conn.exec_driver_sql("SELECT step FROM stride.checkpoints WHERE kind = 'model'").scalars().all()
    assert steps == [1]
    with TestClient(create_app(Settings.model_validate({"checkpoint_dir": folder}), database), "http://127.0.0.1") as client:
        (tmp_path / "best-model").write_bytes(client.get(f"/v1/jobs/{job.id}/best-model").content)
    with safe_open(tmp_path / "best-model", "pt") as opened:
        assert (float(opened.metadata()["value"]), opened.get_tensor("weight").tolist()) == (1.0, [1.0])


def test_an_objective_without_weights_keeps_no_model_and_tells_of_no_failure(database: Database) -> None:
    job = stepping_job(database, epochs=2, epoch_s=0.0, budget={"trials": 2})
    with supervised(database) as worker:
        worker.run_trial()
        worker.run_trial()
    assert models(database) == []
    assert told(database, job, "checkpoint.failed") == []


def test_a_model_that_cannot_be_kept_is_an_event_and_the_result_stands(database: Database) -> None:
    job = odd_job(database, "state raises")
    with supervised(database, interval_s=60) as worker:
        worker.run_trial()
    assert best_of(database, job).value == 1.0
    [event] = told(database, job, "checkpoint.failed")
    assert event["reason"] == "RuntimeError: no state to be had"


def test_whatever_letters_a_reason_holds_the_event_is_stored(database: Database) -> None:
    job = odd_job(database, "state raises strange letters")
    with supervised(database, interval_s=60) as worker:
        worker.run_trial()
    [event] = told(database, job, "checkpoint.failed")
    assert event["reason"] == "RuntimeError: a NUL \ufffd and half a letter ?"


def test_a_trainer_that_dies_while_it_saves_the_model_costs_no_result(database: Database) -> None:
    job = odd_job(database, "state kills")
    with supervised(database, interval_s=60) as worker:
        worker.run_trial()
    assert best_of(database, job).value == 1.0
    [event] = told(database, job, "checkpoint.failed")
    assert "SIGKILL" in event["reason"]


def test_a_worker_that_has_to_stop_while_weights_are_saved_stores_the_result(database: Database) -> None:
    job = odd_job(database, "state hangs")
    with supervised(database, interval_s=60) as worker:
        finished = False
        save_model = worker.trainer.save_model

        def save(*args: Any, **kwargs: Any) -> Any:
            nonlocal finished
            finished = True
            return save_model(*args, **kwargs)

        worker.trainer.save_model = save  # type: ignore[method-assign]
        worker.supervisor._seconds_left = lambda: 0.0 if finished else math.inf
        worker.run_trial()
    assert best_of(database, job).value == 1.0
    [event] = told(database, job, "checkpoint.failed")
    assert event["reason"] == "its worker had to stop before the weights were saved"

"""A model and its data in a user's script, trained by real trainer and script processes."""

import json
import math
from pathlib import Path

import pytest

from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.integration.worker.scripts import job_of, killed_after, training
from tests.integration.worker.supervised import curve_of, log_of, trial_of

MODEL = """
import os, time
import torch

search_space = {"epochs": 4}
settings = {"noise": 0.1}

def wait_for(step):
    gate = os.environ.get("GATE")
    while gate and os.path.exists(gate) and int(open(gate).read() or 0) < step:
        time.sleep(0.01)

class Net(torch.nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(dropout), torch.nn.Linear(8, 1))
        self.register_buffer("epochs", torch.zeros(()))

    def train(self, mode=True):
        if mode and hasattr(self, "epochs"):
            self.epochs += 1
            wait_for(int(self.epochs))
        return super().train(mode)

    def forward(self, inputs):
        return self.layers(inputs)

def data(settings):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(96, 4, generator=generator)
    y = x.sum(1, keepdim=True) + settings["noise"] * torch.randn(96, 1, generator=generator)
    return (x[:64], y[:64]), (x[64:80], y[64:80]), (x[80:], y[80:])

def model(params, settings):
    return Net(0.2)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(MODEL)
    return path


def test_a_trial_whose_trainer_was_killed_ends_bit_for_bit_as_if_nothing_had_happened(
    database: Database, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = script.parent / "gate"
    monkeypatch.setenv("GATE", str(gate))
    gate.write_text("1000")
    with training(database, script, interval_s=0.0) as worker:
        calm, killed = (job_of(database, "net", seed=3, search_space={"learning_rate": 0.02}) for _ in range(2))
        worker.run_trial()
        killed_after(worker, database, 2, gate)
    died, finished = trial_of(database, killed).attempts
    assert (died.outcome, finished.outcome, finished.from_step) == (Outcome.TRAINER_DIED, Outcome.FINISHED, 2)
    one, other = (
        [
            (item.step, _without_speed(item.metrics), item.learning_rate, item.group_rates, item.update_losses)
            for item in curve_of(database, job)
        ]
        for job in (calm, killed)
    )
    assert one == other
    assert len(one) == 4
    assert trial_of(database, calm).user_attrs["test_loss"] == trial_of(database, killed).user_attrs["test_loss"]
    with database.transaction() as conn:
        kinds = conn.exec_driver_sql("SELECT DISTINCT kind FROM stride.checkpoints WHERE job_id = %(id)s", {"id": calm.id})
        assert "model" in {row.kind for row in kinds}, "the weights of the best model"


def _without_speed(metrics: dict[str, float]) -> str:
    return json.dumps({name: value for name, value in metrics.items() if name != "samples_per_second"})


def test_a_model_is_trained_with_stride_s_optimizers_and_schedules_and_settings_reach_its_functions(
    database: Database, script: Path
) -> None:
    job = job_of(
        database,
        "net",
        objective={"name": "net", "settings": {"threads": 1, "noise": 0.0}},
        search_space={"learning_rate": 0.05, "optimizer": "adam", "schedule": "cosine", "batch_size": 16, "epochs": 20},
    )
    with training(database, script) as worker:
        worker.run_trial()
    trial, curve = trial_of(database, job), curve_of(database, job)
    assert trial.state is TrialState.COMPLETE
    assert trial.value is not None
    assert trial.value < 0.5 * curve[0].metrics["validation_loss"]
    assert [item.fraction for item in curve] == pytest.approx([step / 20 for step in range(1, 21)])
    assert curve[-1].learning_rate < 0.01 * curve[0].learning_rate
    assert {"gradient_norm", "generalization_gap", "validation_r2"} <= curve[0].metrics.keys()
    assert "diagnosis" in trial.user_attrs


def test_a_rate_that_is_too_high_diverges_at_its_update(database: Database, script: Path) -> None:
    job = job_of(database, "net", search_space={"learning_rate": 1e6, "epochs": 4})
    with training(database, script) as worker:
        worker.run_trial()
    trial = trial_of(database, job)
    assert (trial.state, trial.value) == (TrialState.INFEASIBLE, math.inf)
    assert "in epoch 1" in trial.user_attrs["divergence"] or "of epoch 1" in trial.user_attrs["divergence"]


def test_what_the_training_refuses_for_every_trial_ends_the_job_at_its_first(database: Database, script: Path) -> None:
    script.write_text(MODEL.replace("    return (x[:64]", "    x = x[:0] if settings['noise'] == 9 else x\n    return (x[:64]"))
    job = job_of(database, "net", budget={"trials": 5}, objective={"name": "net", "settings": {"noise": 9}})
    with training(database, script) as worker:
        worker.run_trial()
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert trial.error.type == "DataProblem"
    assert "data" in trial.error.message
    with database.transaction() as conn:
        [state] = conn.exec_driver_sql("SELECT state FROM stride.jobs WHERE id = %(id)s", {"id": job.id}).scalars()
    assert state == "failed"


def test_an_exception_in_the_model_fails_the_trial_with_its_traceback(database: Database, script: Path) -> None:
    text = MODEL.replace("return Net(0.2)", "return Net(0.2) if params['learning_rate'] < 0.5 else Net('much')")
    script.write_text(text)
    job = job_of(database, "net", search_space={"learning_rate": 0.9, "epochs": 4})
    with training(database, script) as worker:
        worker.run_trial()
    trial = trial_of(database, job)
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert trial.error.traceback is not None
    assert "Net('much')" in trial.error.traceback
    assert "Net('much')" in log_of(database, job)

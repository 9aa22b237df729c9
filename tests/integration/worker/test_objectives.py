"""Every objective that comes with Stride, through a real worker's hands; what they learn is tested in tests/unit/objectives."""

from typing import Any

import pytest

from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.worker.supervised import curve_of, supervised, trial_of

RATE = {"type": "float", "low": 0.01, "high": 0.02, "log": True}


@pytest.mark.parametrize(
    ("objective", "settings", "test_metric"),
    [
        ("image-classification", {"model": "mlp"}, "test_accuracy"),
        ("image-classification", {"model": "cnn", "fold": 3}, "test_accuracy"),
        ("image-classification", {"model": "resnet"}, "test_accuracy"),
        ("tabular-classification", {"dataset": "wine"}, "test_accuracy"),
        ("tabular-regression", {}, "test_r2"),
    ],
)
def test_an_objective_learns_in_a_workers_hands(
    database: Database, objective: str, settings: dict[str, Any], test_metric: str
) -> None:
    job = submit_job(
        database,
        objective={"name": objective, "settings": settings},
        metric="validation_loss",
        search_space={"learning_rate": RATE, "epochs": 3, "optimizer": "adam", "schedule": "one-cycle", "dropout": 0.1},
        budget={"trials": 1},
    )
    with supervised(database) as worker:
        worker.see_through()
    trial = trial_of(database, job)
    assert trial.state is TrialState.COMPLETE
    first, *_, last = curve_of(database, job)
    assert last.metrics["training_loss"] < first.metrics["training_loss"]
    assert [rate.group for rate in last.group_rates] == ["all"]
    assert last.update_losses[-1][0] > first.update_losses[-1][0] > 1
    assert trial.user_attrs[test_metric] > 0.1
    assert set(trial.user_attrs["diagnosis"]) & {"too_slow", "converged", "plateaued"}


def test_a_diverged_trial_says_so_in_its_diagnosis(database: Database) -> None:
    job = submit_job(
        database,
        objective={"name": "tabular-regression", "settings": {}},
        metric="validation_loss",
        search_space={"learning_rate": RATE | {"low": 1e3, "high": 1e4}, "epochs": 3},
        budget={"trials": 1},
    )
    with supervised(database) as worker:
        worker.see_through()
    trial = trial_of(database, job)
    assert trial.state is TrialState.INFEASIBLE
    assert trial.user_attrs["diagnosis"]["diverged"] == trial.user_attrs["divergence"]

"""With a fixed seed, one worker gives the same trials and the same values again."""

from pathlib import Path
from typing import Any

from service.domain.job import FINAL, Job
from service.domain.trial import TrialState
from service.store import jobs, measurements, trial_reader
from service.store.postgres import Database
from tests.factories import LEARNING_RATE, submit_job
from tests.integration.worker.conftest import worker_processes
from tests.integration.worker.supervised import seeded
from tests.polling import wait_until

JOBS: dict[str, dict[str, Any]] = {
    "quadratic, tpe, hyperband": {
        "search_space": {"learning_rate": LEARNING_RATE, "epochs": {"type": "int", "low": 1, "high": 9}, "momentum": 0.9},
        "strategy": "bayesian",
        "pruner": "hyperband",
        "budget": {"trials": 20},
    },
    "digits, tpe, successive halving": {
        "objective": {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}},
        "search_space": {
            "learning_rate": LEARNING_RATE,
            "batch_size": {"type": "categorical", "choices": [64, 128]},
            "epochs": {"type": "int", "low": 1, "high": 4},
            "momentum": 0.9,
        },
        "metric": "validation_loss",
        "strategy": "bayesian",
        "pruner": "successive_halving",
        "budget": {"trials": 12},
    },
    "digits, qmc": {
        "objective": {"name": "image-classification", "settings": {"dataset": "digits", "model": "cnn"}},
        "search_space": {"learning_rate": LEARNING_RATE, "batch_size": 128, "epochs": 1, "momentum": 0.9},
        "metric": "validation_loss",
        "strategy": {"type": "random", "sampler": "qmc"},
        "budget": {"trials": 3},
    },
}


def _ended(database: Database, job: Job) -> list[dict[str, Any]]:
    """All that must repeat itself."""
    with database.transaction() as conn:
        trials = trial_reader.page(conn, job, limit=100)
        curves = [measurements.of_trial(conn, trial_reader.trial_id(conn, job, trial.number)) for trial in trials]
    return [
        {
            "params": trial.params,
            "state": trial.state,
            "value": str(trial.value),
            "attrs": trial.user_attrs,
            "curve": list(map(seeded, curve)),
        }
        for trial, curve in zip(trials, curves, strict=True)
    ]


def test_a_fixed_seed_gives_the_same_trials_and_values_again(database: Database, database_url: str, tmp_path: Path) -> None:
    def run(folder: str) -> dict[str, list[dict[str, Any]]]:
        """All jobs by one new worker."""
        submitted = {name: submit_job(database, seed=21, **spec) for name, spec in JOBS.items()}

        def all_final() -> bool:
            with database.transaction() as conn:
                return all(jobs.get(conn, job.id).state in FINAL for job in submitted.values())

        (tmp_path / folder).mkdir()
        with worker_processes(database_url, tmp_path / folder) as start:
            start(STRIDE_LEASE_S="60", STRIDE_DATABASE_TIMEOUT_S="10")
            wait_until(all_final, "the end of all jobs", deadline_s=100)
        return {name: _ended(database, job) for name, job in submitted.items()}

    first, again = run("first"), run("again")
    for name in JOBS:
        assert first[name] == again[name], name
        assert {trial["state"] for trial in first[name]} >= {TrialState.COMPLETE}
    assert any(trial["state"] is TrialState.PRUNED for trial in first["quadratic, tpe, hyperband"])
    assert all(trial["curve"] for trials in first.values() for trial in trials)

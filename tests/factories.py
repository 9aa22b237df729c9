"""Jobs and measurements for tests, with keyword overrides."""

from typing import Any

from objectives.catalog import load_catalog
from service.api.meaning import meaning_of
from service.dispatch.submit import submit
from service.domain.job import Job
from service.domain.measurement import Measurement
from service.domain.spec import JobSpec
from service.store.postgres import Database

LEARNING_RATE = {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 10}

MEANING = meaning_of(load_catalog()["image-classification"])
"""That of the usual names."""


def job_spec(**overrides: Any) -> JobSpec:
    """A complete job for the objective `quadratic`."""
    document: dict[str, Any] = {
        "objective": {"name": "quadratic"},
        "search_space": {"learning_rate": LEARNING_RATE, "epochs": 4, "momentum": 0.9},
        "strategy": "random",
        "budget": {"trials": 10},
        "metric": "loss",
        "direction": "minimize",
        "meaning": MEANING,
    }
    return JobSpec.model_validate(document | overrides)


def submit_job(database: Database, **overrides: Any) -> Job:
    """A job in the database, queued."""
    job, _ = database.transact(lambda conn: submit(conn, job_spec(**overrides)))
    return job


def measurement(step: int = 1, loss: float = 1.0, *, fraction: float | None = None, **overrides: Any) -> Measurement:
    """One step, by default of four."""
    return Measurement(
        **{
            "step": step,
            "fraction": step / 4 if fraction is None else fraction,
            "in_warmup": False,
            "metrics": {"loss": loss},
            "learning_rate": 0.1,
            "seconds": 0.01,
        }
        | overrides
    )

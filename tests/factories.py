"""Jobs and measurements for tests, with keyword overrides."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from objectives.catalog import load_catalog
from service.api.meaning import meaning_of
from service.dispatch.submit import add_phase, submit
from service.domain.job import Job
from service.domain.measurement import Measurement
from service.domain.spec import JobSpec
from service.store import phases
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
    document |= overrides
    document["budget"] = {"confirm": 0} | document["budget"]
    return JobSpec.model_validate(document)


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


def submit_job_of_phases(database: Database, share: int | None, *later: Mapping[str, Any], **overrides: Any) -> Job:
    """A job whose first phase is what the overrides say, with that share of the budget; later: as its spec, with `trials`."""

    def work(conn: sa.Connection) -> Job:
        job, _ = submit(conn, job_spec(**overrides))
        set_share(conn, job, 0, share)
        for position, phase in enumerate(later, start=1):
            changed = {name: value for name, value in phase.items() if name != "trials"}
            add_phase(conn, job.id, position, job_spec(**overrides | changed), trials=phase.get("trials"))
        return job

    return database.transact(work)


def set_share(conn: sa.Connection, job: Job, position: int, trials: int | None) -> None:
    """Of the budget, for one of the job's phases."""
    conn.exec_driver_sql(
        "UPDATE stride.phases SET trials = %(trials)s WHERE job_id = %(id)s AND position = %(position)s",
        {"trials": trials, "id": job.id, "position": position},
    )
    phases.copy_current(conn, job.id)


def set_budget(conn: sa.Connection, job: Job, trials: int) -> None:
    """Another budget of trials than the one submitted."""
    conn.exec_driver_sql("UPDATE stride.jobs SET budget_trials = %(trials)s WHERE id = %(id)s", {"trials": trials, "id": job.id})

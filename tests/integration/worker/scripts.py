"""Training scripts for tests: written into a folder, described, and trained by a worker's supervisor."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked, ScriptObjective
from service.domain.job import Job
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.worker.supervised import Supervised, curve_of, supervised
from tests.polling import wait_until

RATE = {"type": "float", "low": 0.01, "high": 1.0, "log": True}

BEGINNING = """
import stride

@stride.objective(space={"learning_rate": {"type": "float", "low": 0.01, "high": 1.0, "log": True}}, steps=4)
def train(trial):
"""
"""Of a script whose function is given by its body."""


def written(folder: Path, body: str, name: str = "train", before: str = "") -> Path:
    """A script with a function of this body; before: what stands above it."""
    path = folder / f"{name}.py"
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    path.write_text(before + BEGINNING.replace("def train", f"def {name}") + lines)
    return path


def described(path: Path, **asked: Any) -> dict[str, ScriptObjective]:
    return describe_files([str(path)], Asked(**asked))


@contextmanager
def training(database: Database, path: Path, asked: dict[str, Any] | None = None, **options: Any) -> Iterator[Supervised]:
    """A supervisor that has the objectives of the script."""
    with supervised(database, scripts=described(path, **(asked or {})), **{"interval_s": 60.0} | options) as worker:
        yield worker


def job_of(database: Database, name: str = "train", **overrides: Any) -> Job:
    """One trial of a script's objective."""
    return submit_job(
        database,
        **{
            "objective": {"name": name, "settings": {"threads": 1}},
            "search_space": {"learning_rate": RATE},
            "metric": "validation_loss",
            "budget": {"trials": 1},
        }
        | overrides,
    )


def script_processes(worker: Supervised) -> list[psutil.Process]:
    """The processes that the trainer has started."""
    return psutil.Process(worker.trainer_pid).children(recursive=True)


def killed_after(worker: Supervised, database: Database, steps: int, gate: Path) -> None:
    """Train a trial, and kill the trainer once so many steps are stored."""
    gate.write_text(str(steps))
    with worker.under_way() as claim:
        job = claim.job
        wait_until(lambda: len(curve_of(database, job)) >= steps, "the steps")
        os.kill(worker.trainer_pid, signal.SIGKILL)
        time.sleep(0.2)
        gate.write_text("1000")

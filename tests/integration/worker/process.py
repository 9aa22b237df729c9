"""A worker as a process of its own."""

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from service.commands.own_objectives import read_scripts
from service.settings import Settings
from service.store.postgres import Database
from service.worker.loop import run_worker

ROOT = Path(__file__).parents[3]


def main(environment: Mapping[str, str], log: Path) -> None:
    """Run a worker that is set up by `environment` alone, and prints into `log`."""
    gc.freeze()  # of what the server that it was forked from has imported, nothing is garbage
    os.chdir(ROOT)
    for name in [name for name in os.environ if name.startswith("STRIDE_")]:
        del os.environ[name]
    os.environ.update(environment)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)  # as Python does when a process starts
    with log.open("wb") as out:
        os.dup2(out.fileno(), sys.__stdout__.fileno())  # type: ignore[union-attr]
        os.dup2(out.fileno(), sys.__stderr__.fileno())  # type: ignore[union-attr]
    settings = Settings()
    assert settings.database_url is not None
    database = Database(settings.database_url, timeout_s=settings.database_timeout_s)
    run_worker(database, settings, read_scripts(settings))
    database.close()

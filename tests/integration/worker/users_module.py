"""A user's module `mine` in a folder of its own, for workers that have it and an API that has not."""

import os
from pathlib import Path

from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store.postgres import Database

TEXT = """
from dataclasses import replace
from tests.quadratic import QUADRATIC, start

OBJECTIVES = (replace(QUADRATIC, name="mine", module="mine", step_word={step_word!r}),)
"""
"""Of the module `mine`, whose objective is the parabola."""


def settings_for(folder: Path, *, source: str = "", step_word: str = "epoch") -> dict[str, str]:
    """Write the module to `folder`; the environment of a worker that has it. source: what it holds besides."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(TEXT.format(step_word=step_word) + source)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {"STRIDE_OBJECTIVE_MODULES": "mine,tests.quadratic", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def api_without_modules(database: Database) -> TestClient:
    """An API that has loaded no module of objectives."""
    return TestClient(create_app(Settings(), database), "http://127.0.0.1")


def job(**fields: object) -> dict[str, object]:
    """A job for the module's objective."""
    space = {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.4, "log": True}, "epochs": 2}
    return {
        "objective": {"name": "mine"},
        "search_space": space,
        "strategy": "random",
        "budget": {"trials": 3, "confirm": 0},
    } | fields

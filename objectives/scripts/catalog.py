"""The objectives in users' files: each file is described in a process of its own, once, when a worker starts."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from objectives.installed import Offered
from objectives.own_modules import CatalogProblem
from objectives.scripts.entry import Asked, ScriptObjective, objective_of
from objectives.scripts.process import LOAD_S, ScriptProcess
from objectives.sources import file_of

DESCRIBE_S = 600.0
"""How long an Optuna objective may train until it suggests or reports first: it is asked for its search space."""


def describe_files(
    files: Sequence[str],
    asked: Asked,
    *,
    space: Mapping[str, Any] | None = None,
    load_s: float = LOAD_S,
    describe_s: float = DESCRIBE_S,
) -> dict[str, ScriptObjective]:
    """The objectives in files, each given as FILE or FILE:NAME, by name. Raises CatalogProblem, a sentence with file and line.

    space: the search space of an Optuna objective, in the form of the REST API; None: it is found by asking the objective.
    """
    found: dict[str, ScriptObjective] = {}
    for file in files:
        path, name = _place(file)
        process = ScriptProcess(path, load_s=load_s)
        try:
            descriptions = process.describe(name, describe_s, space)
        finally:
            process.end(at_once=True)  # with torch, to end by itself takes half a second
        for description in descriptions:
            entry = objective_of(description, path, process.sha256, asked)
            if entry.objective.name in found:
                other = found[entry.objective.name].function.path
                raise CatalogProblem(f"{path} repeats the objective name {entry.objective.name!r} of {other}: choose another")
            found[entry.objective.name] = entry
    return found


def describe_installed(entry: Offered, asked: Asked) -> ScriptObjective:
    """The objective of an installed package's function, under the name of its entry point. Raises CatalogProblem."""
    path = file_of(entry.module)
    if path is None or path.suffix != ".py":
        raise CatalogProblem(f"there is no Python file of a module {entry.module}")
    process = ScriptProcess(path, module=entry.module)
    try:
        [description] = process.describe(entry.function, DESCRIBE_S)
    finally:
        process.end(at_once=True)
    found = objective_of(description | {"name": entry.name}, path, process.sha256, asked)
    return replace(found, function=replace(found.function, module=entry.module))


def _place(file: str) -> tuple[Path, str | None]:
    """The file's path, and the name of one objective in it; None: all."""
    path, colon, name = file.rpartition(":")
    if not colon or os.path.exists(file):
        path, name = file, ""
    absolute = Path(path).expanduser().absolute()
    if not absolute.is_file():
        raise CatalogProblem(f"there is no file {absolute}")
    return absolute, name or None

"""A file that holds a model and its data: Stride's training trains it, which is imported beside the file's own modules."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from stride.connection import Message
from stride.reporting import Reports

REQUIRED, OPTIONAL = ("model", "data"), ("loss", "score")


class Training:
    """Stride's training, imported when a file needs it. name: of its module."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: ModuleType | None = None

    @property
    def module(self) -> Any:
        """The module. The file's modules may have the names of Stride's packages: each finds its own."""
        if self._module is None:
            self._module = _imported_beside(self._name)
        return self._module


def holds_model(module: ModuleType) -> bool:
    """Whether a file holds the functions that Stride trains with. Such as a model that is no function is something else's."""
    return all(inspect.isroutine(found := getattr(module, name, None)) or inspect.isclass(found) for name in REQUIRED)


def functions_of(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Those that a file holds, by name."""
    found = {name: getattr(module, name, None) for name in (*REQUIRED, *OPTIONAL)}
    return {name: function for name, function in found.items() if callable(function)}


def declared_in(module: ModuleType, name: str) -> Mapping[str, Any]:
    """A dictionary of the file's, `search_space` or `settings`; empty where there is none. Raises TypeError."""
    found = getattr(module, name, None)
    if found is None or isinstance(found, ModuleType):  # the file may import a module of this name
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise TypeError(f"{name} is {found!r:.60}: it must be a dictionary from names")
    return found


def train(run: Any, reports: Reports) -> Message:
    """Train a run of the contract of objectives, in the words of scripts: each measurement is a report. Returns how it ended."""
    if (saved := reports.restored()) is not None:
        run.load_state_dict(saved)
    test: Mapping[str, float] = {}
    for measurement in run:
        reports.save(run.state_dict)
        if reports.report_measurement(asdict(measurement)):
            break
    else:
        reports.save(run.state_dict)  # early stopping has restored the best weights
        test = run.evaluate()
    return {"type": "ended", "value": None, "attributes": {}, "test": test, "guessing": dict(run.guessing)}


def _imported_beside(name: str) -> ModuleType:
    package, folder = name.partition(".")[0], str(Path(__file__).parents[1])
    theirs = _taken_out(package)
    sys.path.insert(0, folder)
    try:
        return import_module(name)
    finally:
        sys.path.remove(folder)
        _taken_out(package)
        sys.modules.update(theirs)


def _taken_out(package: str) -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == package]
    return {name: sys.modules.pop(name) for name in names}

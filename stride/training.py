"""A file that holds a model and its data: Stride's training trains it, which is imported beside the file's own modules."""

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from stride.connection import Message
from stride.declaration import originals
from stride.reporting import Reports

ARGUMENTS = {"model": ("params", "settings"), "data": ("settings",)}
REQUIRED, OPTIONAL = tuple(ARGUMENTS), ("loss", "score")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


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
    return all(_is_function(getattr(module, name, None)) for name in REQUIRED)


def lacks(module: ModuleType) -> str:
    """What a file with a model or data lacks to be trained, in words; empty where it has neither."""
    found = {name: getattr(module, name, None) for name in REQUIRED}
    kinds = [f"{name} is a {type(each).__name__}" for name, each in found.items() if each is not None and not _is_function(each)]
    missing = [f"there is no {name}" for name, each in found.items() if each is None]
    return "" if len(missing) == len(REQUIRED) else " and ".join([*kinds, *missing])


def functions_of(module: ModuleType, space: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Those that a file holds, by name. space: of the parameters, which `model` gets as it is written there. Raises TypeError."""
    functions: dict[str, Callable[..., Any]] = {}
    for name in (*REQUIRED, *OPTIONAL):
        found = getattr(module, name, None)
        if found is None or (isinstance(found, ModuleType) and name in OPTIONAL):  # the file may import a module of this name
            continue
        if not callable(found):
            raise TypeError(f"{name} is {found!r:.60}: it must be a function, def {name}(outputs, targets)")
        functions[name] = found
    return functions | {name: _called(functions[name], arguments, space) for name, arguments in ARGUMENTS.items()}


def _is_function(value: Any) -> bool:
    return inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, functools.partial)


def _called(function: Callable[..., Any], names: tuple[str, ...], space: Mapping[str, Any]) -> Callable[..., Any]:
    """The function, called with those of the arguments of these names that it takes: all, or but the last, or none."""
    try:
        takes = list(inspect.signature(function).parameters.values())
    except ValueError:  # written in C: it does not tell
        n_taken = len(names)
    else:
        n_taken = sum(1 for each in takes if each.kind in _POSITIONAL and (each.default is each.empty or each.name in names))
        n_taken = len(names) if any(each.kind is each.VAR_POSITIONAL for each in takes) else n_taken

    def called(*arguments: Any) -> Any:
        written = [originals(space, each) if name == "params" else each for name, each in zip(names, arguments, strict=True)]
        return function(*written[:n_taken])

    return called


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
        reports.save(run.state_dict, "the run's state")
        if reports.report_measurement(asdict(measurement)):
            break
    else:
        reports.save(run.state_dict, "the run's state")  # early stopping has restored the best weights
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

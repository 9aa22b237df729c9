"""Modules of objectives of the user's own: imported without torch, their `OBJECTIVES` read, and places in them named for people.

API and workers read such a module to know what can be trained. Torch takes seconds and memory to import, so it must not come with
it; importing it is left to `start`, or to the module that `Objective.module` names.
"""

import ast
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from objectives.contract import Objective

HEAVY = "torch"


class CatalogProblem(ValueError):
    """A module of objectives cannot be used; the message names it and says why, with file and line where they are known."""


def import_own(name: str) -> ModuleType:
    """Import a module of objectives. Raises CatalogProblem, also when it imports torch, and even if it handles that failure."""
    if "/" in name or name.startswith(".") or name.endswith(".py"):
        stem = Path(name).stem
        raise CatalogProblem(f"{name} is a file's name: write {stem}, that of its module, with its folder on PYTHONPATH")
    # In every process alike, but last: a package of the user's there may have the name of one of ours, such as service.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    with _without_torch() as attempts:
        try:
            module, problem = import_module(name), None
        except (Exception, SystemExit) as error:  # a user's module may raise anything while it is imported
            module, problem = None, error
    if attempts or (isinstance(problem, ModuleNotFoundError) and _is_heavy(problem.name or "")):
        stack = attempts[0] if attempts else traceback.extract_tb(cast(Exception, problem).__traceback__)
        raise CatalogProblem(
            f"{name} imports {HEAVY}, which the API must not load: import it inside `start`, or name a module of its own in"
            f" Objective.module{_place(stack)}"
        ) from problem
    if module is None:
        assert problem is not None
        raise CatalogProblem(f"{name} cannot be imported: {_described(problem)}") from problem
    return module


def objectives_in(module: ModuleType) -> tuple[Objective, ...]:
    """The module's `OBJECTIVES`: a tuple or a list, or one Objective. Raises CatalogProblem."""
    wanted = "it must be a tuple or a list of objectives.contract.Objective"
    if not hasattr(module, "OBJECTIVES"):
        raise CatalogProblem(f"{module.__name__} has no `OBJECTIVES`: {wanted}{_at(module.__file__, None)}")
    found: Any = module.OBJECTIVES
    entries = (found,) if isinstance(found, Objective) else found
    where = place_of(module)
    if not isinstance(entries, tuple | list):
        raise CatalogProblem(f"{module.__name__} has `OBJECTIVES` of type {type(found).__name__}: {wanted}{where}")
    if not entries:
        raise CatalogProblem(f"{module.__name__} has no objective in its `OBJECTIVES`: {wanted}{where}")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Objective):
            raise CatalogProblem(f"{module.__name__} has a {type(entry).__name__} at `OBJECTIVES[{index}]`: {wanted}{where}")
    return tuple(entries)


def place_of(module: ModuleType, name: object = None) -> str:
    """Where the module declares what has this name, else where it sets `OBJECTIVES`: " (FILE, line N)"; "" when not known."""
    file = getattr(module, "__file__", None)
    try:
        nodes = list(ast.walk(ast.parse(Path(file or "").read_bytes())))
    except (OSError, SyntaxError, ValueError):  # no source here
        return ""
    named = (
        node.value.lineno
        for node in nodes
        if isinstance(node, ast.keyword) and node.arg == "name"
        if isinstance(node.value, ast.Constant) and node.value.value == name
    )
    assigned = (node.lineno for node in nodes if isinstance(node, ast.Name) and node.id == "OBJECTIVES")
    return _at(file, next(named, None) or next(assigned, None))


class _Refusing(Loader):
    """Loads nothing, and notes from where it was asked to."""

    def __init__(self, attempts: list[traceback.StackSummary]) -> None:
        self._attempts = attempts

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._attempts.append(traceback.extract_stack())
        raise ImportError(f"{HEAVY} cannot be imported while a module of objectives is read")

    def exec_module(self, module: ModuleType) -> None:
        raise NotImplementedError


class _Finder:
    """Finds torch, as it is: a module may ask whether it is installed. Only loading it is refused."""

    def __init__(self) -> None:
        self.attempts: list[traceback.StackSummary] = []

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == HEAVY else None
        if spec is not None:
            spec.loader = _Refusing(self.attempts)
        return spec


@contextmanager
def _without_torch() -> Iterator[list[traceback.StackSummary]]:
    """Refuse to load torch, unless it has been already; yields the attempts to."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield finder.attempts
    finally:
        sys.meta_path.remove(finder)


def _is_heavy(name: str) -> bool:
    return name.partition(".")[0] == HEAVY


def _described(error: BaseException) -> str:
    said = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}{_at(error.filename, error.lineno)}"
    place = _place(traceback.extract_tb(error.__traceback__))
    if isinstance(error, ModuleNotFoundError) and not place:
        said += "; it is looked for in the working directory, on PYTHONPATH and among what is installed"
    kind = "it ends the process: SystemExit" if isinstance(error, SystemExit) else type(error).__name__
    return (f"{kind}: {said}" if said else kind) + place


def _place(stack: Sequence[traceback.FrameSummary]) -> str:
    """The line of the user's module that led there, and the line that it led to if that is in another file."""
    imported = [index for index, frame in enumerate(stack) if frame.filename == __file__ and frame.name == import_own.__name__]
    frames = [frame for frame in stack[imported[-1] + 1 if imported else 0 :] if not _is_import(frame)]
    if not frames:
        return ""
    first, last = frames[0], frames[-1]
    through = "" if last.filename == first.filename else f", through {last.filename}, line {last.lineno}"
    return f" ({first.filename}, line {first.lineno}{through})"


def _is_import(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith("<frozen ") or frame.filename in (__file__, sys.modules["importlib"].__file__)


def _at(file: str | None, line: int | None) -> str:
    return "" if file is None else f" ({file})" if line is None else f" ({file}, line {line})"

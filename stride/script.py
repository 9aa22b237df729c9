"""A user's file, loaded by path, and what it holds: functions under `@stride.objective`, an Optuna objective, or a model."""

import functools
import gc
import hashlib
import inspect
import multiprocessing  # noqa: F401 - it sets `__mp_main__` when it is imported, so that must come before the file
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from stride.arguments import DURATIONS, left_alone, space_of, takes_parameters
from stride.connection import Message
from stride.declaration import DECLARED, Declaration
from stride.optuna_trial import ContradictsSpace
from stride.recorder import ChangingSpace, check, record
from stride.training import Training, declared_in, functions_of, holds_model, lacks

TRAIN = "train"
"""The function whose arguments are parameters, unless another is named."""
POSSIBLE = (
    "a file holds functions under @stride.objective(space=...), an Optuna objective, def objective(trial),"
    " def train(lr=0.1, epochs=20), or def model(params, settings) and def data(settings)"
)

AS_A_PROGRAM = 'if __name__ == "__main__"'


OBJECTS = 50_000
"""New ones between two garbage collections while a file is loaded: to look for garbage takes a tenth of the time."""


class Refused(Exception):
    """The file cannot be used; the message is one sentence."""


class Script:
    """A loaded file. module: its name where it belongs to an installed package. Raises Refused."""

    def __init__(self, path: Path, training: Training, module: str | None = None) -> None:
        self._path = path
        self._training = training
        try:
            source = path.read_bytes()
        except OSError as error:
            raise Refused(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
        self.sha256 = hashlib.sha256(source).hexdigest()
        self._module = _loaded(path, source, self, module)

    def function(self, name: str) -> Callable[[Any], Any]:
        """The function of this name in the file."""
        found: Callable[[Any], Any] = getattr(self._module, name)
        return found

    def describe(self, chosen: str | None, stated: Mapping[str, Any] | None = None) -> list[Message]:
        """What can be trained, each with its function and what it declares. chosen: the name of one; None: all that there are.

        stated: the search space of an Optuna objective, which is else found by asking it.
        """
        declared, others = self._declared(), self._others()
        if holds_model(self._module) and (chosen == "model" or (chosen is None and not declared and not others)):
            return [self._tried_model()]
        if chosen is None:
            lacking = lacks(self._module)
            found = [*(f"{name} under @stride.objective" for name in declared), *others]
            if (not found and not self._holds_training()) or (declared and others) or len(others) > 1:
                said = " and ".join(found) or f"no objective ({lacking})".replace(" ()", "")
                raise Refused(f"{self._path.name} holds {said}: {POSSIBLE}")
        if declared and chosen is None:
            return self._all_declared(declared)
        named = [name for name, (_, it) in declared.items() if chosen in (name, it.name)]
        if named:
            return self._all_declared({named[0]: declared[named[0]]})
        if others and chosen is None and others[0] == "OBJECTIVES":
            raise Refused(
                f"{self._path.name} holds OBJECTIVES: name it in STRIDE_OBJECTIVE_MODULES, with its folder on PYTHONPATH"
            )
        function = chosen or ("objective" if others else TRAIN)
        found_function = getattr(self._module, function, None)
        if not callable(found_function):
            raise Refused(f"{self._path.name} has no function {function!r}")
        if takes_parameters(found_function):
            return [self._with_arguments(function)]
        return [self._recorded(function, stated)]

    def start(self, message: Message) -> Any:
        """Begin a run of the file's model on its data, by Stride's training."""
        names = ("params", "settings", "seed", "device", "threads")
        return self._training.module.start(self._held, *(message[name] for name in names))

    def sentence(self, error: BaseException) -> str:
        """An error that the file raised, with the line of the file that led there."""
        said = next(iter(str(error).strip().splitlines()), "")
        if isinstance(error, SyntaxError):
            return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
        kind = "it ends the process: SystemExit" if isinstance(error, SystemExit) else type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(self._path)]
        return f"{kind}: {said}".removesuffix(": ") + (f" ({self._path}, line {lines[-1]})" if lines else f" ({self._path})")

    def _declared(self) -> dict[str, tuple[Any, Declaration]]:
        found: dict[str, tuple[Any, Declaration]] = {}
        for name, value in vars(self._module).items():
            declaration = inspect.getattr_static(value, DECLARED, None)
            if isinstance(declaration, Declaration) and all(value is not other for other, _ in found.values()):
                found[name] = value, declaration
        return found

    def _others(self) -> list[str]:
        found = [name for name in ("OBJECTIVES",) if hasattr(self._module, name)]
        objective = getattr(self._module, "objective", None)
        if callable(objective) and inspect.getattr_static(objective, DECLARED, None) is None:
            found.append("the Optuna objective `objective`")
        return found

    def _holds_training(self) -> bool:
        found = getattr(self._module, TRAIN, None)
        return inspect.isfunction(found) and takes_parameters(found)

    def _all_declared(self, declared: dict[str, tuple[Any, Declaration]]) -> list[Message]:
        if len(declared) > 1 and (unnamed := [name for name, (_, it) in declared.items() if it.name is None]):
            raise Refused(
                f"{self._path.name} holds {len(declared)} functions under @stride.objective, and {unnamed[0]} has no name:"
                " give each one, name=..."
            )
        return [
            {
                "kind": "function",
                "function": name,
                "name": it.name or self._path.stem,
                "description": _described(function),
                "space": {name: _plain(it.space[name], name) for name in it.space},
                "metric": it.metric,
                "direction": it.direction,
                "steps": it.steps,
            }
            for name, (function, it) in declared.items()
            if self._takes_a_trial(name, function)
        ]

    def _with_arguments(self, name: str) -> Message:
        function = self.function(name)
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            kind = "async" if inspect.iscoroutinefunction(function) else "a generator"
            raise Refused(f"{self._path.name}'s {name} is {kind}: it must be a plain function, which trains when it is called")
        try:
            space = space_of(function)
        except TypeError as error:
            raise Refused(f"{self._path.name}'s {name} cannot be called with parameters: {error}") from error
        return {
            "kind": "arguments",
            "function": name,
            "name": self._path.stem if name == TRAIN else name,
            "description": _described(function),
            "space": space,
            "left_alone": left_alone(function),
            "steps": next((name for name in DURATIONS if type(space.get(name)) is int), None),
        }

    def _recorded(self, name: str, stated: Mapping[str, Any] | None) -> Message:
        function = self.function(name)
        self._takes_a_trial(name, function)
        try:
            if stated is None:
                space = record(function)
            else:
                check(function, space := dict(stated))
        except ChangingSpace as error:
            raise Refused(
                f"{self._path.name}'s {name} has no fixed search space: {error}; a job file can state one, for stride run --job"
            ) from error
        except ContradictsSpace as error:
            raise Refused(f"{self._path.name}'s {name}: {error}") from error
        except BaseException as error:
            raise Refused(f"{self._path.name}'s {name}, asked for its search space, raised {self.sentence(error)}") from error
        if not space:
            raise Refused(f"{self._path.name}'s {name} suggests nothing before its first report: there is nothing to search")
        return {
            "kind": "optuna",
            "function": name,
            "name": self._path.stem if name == "objective" else name,
            "description": _described(function),
            "space": space,
            "metric": "value",
        }

    @functools.cached_property
    def _held(self) -> Any:
        """The model, its data, and what the file says of them, in the form of Stride's training. Raises TypeError."""
        declared = declared_in(self._module, "search_space")
        return self._training.module.Held(
            name=self._path.stem,
            functions=functions_of(self._module, declared),
            search_space={name: _plain(each, name) for name, each in declared.items()},
            settings=declared_in(self._module, "settings"),
        )

    def _tried_model(self) -> Message:
        training = self._training.module
        try:
            held = self._held
        except TypeError as error:
            raise Refused(f"{self._path.name}: {error} ({self._path})") from error
        what = "data"
        try:
            training.read(held)
            what = "model, tried on a batch of its data,"
            tried: Message = training.try_out(held)
        except training.DataProblem as problem:
            raise Refused(f"{self._path.name}: {str(problem).removesuffix('.')}{self._other_way()} ({self._path})") from problem
        except BaseException as error:  # the file's functions may raise anything
            raise Refused(f"{self._path.name}'s {what} raised {self.sentence(error)}{self._other_way()}") from error
        return {
            "kind": "model",
            "function": "model",
            "name": held.name,
            "description": _described(self._module) or _described(self.function("model")),
            "space": held.search_space,
            "settings": dict(held.settings),
            "metric": "validation_loss",
        } | tried

    def _other_way(self) -> str:
        """What else might be meant by the file."""
        return f"; to tune its function {TRAIN}, name it: {self._path.name}:{TRAIN}" if self._holds_training() else ""

    def _takes_a_trial(self, name: str, function: Any) -> bool:
        try:
            inspect.signature(function).bind("trial")
        except TypeError as error:
            if takes_parameters(function):
                return True
            raise Refused(f"{self._path.name}'s {name} cannot be called with a trial: {error}") from error
        except ValueError:  # written in C: it does not tell
            pass
        return True


def _loaded(path: Path, source: bytes, script: Script, module_name: str | None) -> ModuleType:
    # As multiprocessing calls it in children that it does not fork: they load the file themselves, and find its functions there.
    name = "__mp_main__"
    main = sys.modules["__main__"]
    spec = spec_from_file_location(module_name or name, path)
    # With a name, as `python -m` has it: such a module may import relatively, and its folder is not one of modules.
    main.__file__, main.__spec__ = str(path), spec if module_name else None
    module = ModuleType(name)
    module.__file__, module.__spec__ = str(path), spec
    sys.modules[name] = module
    if module_name is None:
        sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    try:
        with _little_garbage():
            exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - it is what the worker was told to run
    except BaseException as error:  # a user's file may raise anything
        raise Refused(f"{path.name} cannot be loaded: {script.sentence(error)}{_cure(error)}") from error
    return module


def _cure(error: BaseException) -> str:
    """What to do, where the file raised because it was written to be run as a program; else nothing."""
    frames = traceback.extract_tb(error.__traceback__)
    if any(Path(frame.filename).name == "argparse.py" or "sys.argv" in (frame.line or "") for frame in frames):
        return f": it is given no arguments, so parse them under {AS_A_PROGRAM}, or give them default values"
    return f": put what runs it as a program under {AS_A_PROGRAM}" if isinstance(error, SystemExit) else ""


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Look for it seldom; what the block itself decides on that stays."""
    before = gc.get_threshold()
    seldom = (OBJECTS, *before[1:])
    gc.set_threshold(*seldom)
    try:
        yield
    finally:
        if gc.get_threshold() == seldom:
            gc.set_threshold(*before)


def _described(function: Any) -> str:
    """The first line of its docstring; nothing where a class has only that of its base class."""
    function = function.func if isinstance(function, functools.partial) else function
    text = function.__doc__ if inspect.isclass(function) else inspect.getdoc(function)
    return next(iter((text or "").strip().splitlines()), "")


def _plain(dimension: Any, name: str) -> Any:
    """A range with lists for tuples, as JSON has it; choices of any type stay, since `original` knows them by their text."""
    if not isinstance(dimension, dict):
        return dimension
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in dimension.items()}
    if "choices" in plain:
        plain["choices"] = [each if isinstance(each, bool | int | float | str) else str(each) for each in plain["choices"]]
    return plain

"""The objective that a command declares, with what was said about its parameters."""

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from objectives.contract import Scalar
from objectives.own_modules import CatalogProblem
from objectives.scripts.command import placeholders
from objectives.scripts.entry import RATES, Asked, ScriptObjective, objective_of

RATE_SPACE: Mapping[str, Any] = {"type": "float", "low": 1e-5, "high": 1.0, "log": True}
"""Of the learning rate, where nothing else is said."""
FORMS = "NAME=16,32,64 for choices, NAME=1e-5:1:log or NAME=2:20 for a range, NAME=0.9 for a value"


def command_objective(line: str, folder: Path, params: Sequence[str], metric: str, asked: Asked) -> ScriptObjective:
    """The objective of a command. params: each as one of FORMS. Raises CatalogProblem, a sentence."""
    try:
        words, names = shlex.split(line), placeholders(line)
    except ValueError as error:
        raise CatalogProblem(f"the command {line!r} cannot be split into words: {error}") from None
    if not words:
        raise CatalogProblem("the command is empty")
    space = dict(map(_param, params))
    rates = [asked.learning_rate] if asked.learning_rate else [name for name in RATES if name in names]
    space.update({name: _as_float(space[name]) for name in rates if name in space})
    for name in names:
        if name not in space:
            if name not in rates:
                raise CatalogProblem(f"it is not known what {{{name}}} may be: say it with --param, as {FORMS}")
            space[name] = RATE_SPACE
    description = {
        "kind": "command",
        "function": line,
        "name": _name(words, folder),
        "description": f"The command {line}",
        "space": space,
        "metric": metric,
        "direction": asked.direction or "minimize",
        "steps": asked.steps,
    }
    return objective_of(description, folder, hashlib.sha256(line.encode()).hexdigest(), asked)


def _param(text: str) -> tuple[str, Any]:
    """The name and the range, or the value, of a parameter."""
    name, equals, given = text.partition("=")
    if not equals or not name.isidentifier() or not given:
        raise CatalogProblem(f"--param {text} is none of {FORMS}")
    if "," in given:
        return name, {"type": "categorical", "choices": [_value(part) for part in given.split(",")]}
    if ":" not in given:
        return name, _value(given)
    low, high, *scale = given.split(":")
    ends = [_value(low), _value(high)]
    if scale not in ([], ["log"]) or any(isinstance(end, bool | str) for end in ends):
        raise CatalogProblem(f"--param {text} is none of {FORMS}")
    kind = "int" if all(isinstance(end, int) for end in ends) else "float"
    return name, {"type": kind, "low": ends[0], "high": ends[1], **({"log": True} if scale else {})}


def _as_float(dimension: Any) -> Any:
    """A learning rate that was written in whole numbers, such as 1:10."""
    if not isinstance(dimension, dict):
        return float(dimension) if isinstance(dimension, int) else dimension
    if dimension["type"] == "categorical":
        return dimension | {"choices": [float(each) if isinstance(each, int) else each for each in dimension["choices"]]}
    return dimension | {"type": "float", "low": float(dimension["low"]), "high": float(dimension["high"])}


def _value(text: str) -> Scalar:
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    return {"true": True, "false": False}.get(text.strip(), text.strip())


def _name(words: Sequence[str], folder: Path) -> str:
    """That of the script, if one is named, else that of the program."""
    scripts = (Path(word).stem for word in words if Path(word).suffix and (folder / word).is_file())
    return next(scripts, Path(words[0]).name)

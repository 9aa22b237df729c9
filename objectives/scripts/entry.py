"""The objective that a script's description declares: what jobs can be made of."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from objectives import documents
from objectives.contract import Direction, Metric, Objective, Parameter, Scalar
from objectives.declarations import faults_of
from objectives.documents import version_of_digests
from objectives.meaning import by_usual_name, declared
from objectives.own_modules import CatalogProblem
from objectives.parameters import computing

RATES = ("learning_rate", "lr")
"""What the learning rate is called, unless it is named."""
MODULE = "objectives.scripts.run"
RATE_POINTS, POINTS = 9, 4
"""In how many points a grid divides a range, unless the script says so: that of the learning rate, and others."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an operator says of scripts that do not say it themselves."""

    direction: Direction | None = None
    """Of an Optuna objective; None: minimize."""
    learning_rate: str | None = None
    """The name of the parameter; None: the usual ones."""
    steps: int | None = None
    """How many steps an Optuna objective reports; None: not known."""


@dataclass(frozen=True, kw_only=True)
class ScriptFunction:
    """A function of a script, or a command: what a trainer process needs to know to call it."""

    path: str
    """Of the file; of a command, the folder where it is started."""
    sha256: str
    """Of the file's bytes, or of the command, in hexadecimal digits."""
    kind: Literal["function", "optuna", "command"]
    name: str
    """Of the function; or the command, as a shell would take it."""
    metric: str
    steps: int | str | None
    """How many steps a run reports, or the parameter that says so; None: not known."""
    learning_rate: str
    """The name of the parameter."""
    module: str | None = None
    """The file's name as a module, where it belongs to an installed package; None: it stands for itself."""


@dataclass(frozen=True, kw_only=True)
class ScriptObjective:
    """An objective of a script: what jobs are checked against, and what trains them."""

    objective: Objective
    """Completed by `declared`."""
    function: ScriptFunction

    @property
    def version_sha256(self) -> bytes:
        """Of the declaration, of the file, and of what an operator has said about it: of all but the place where the file is."""
        called = json.dumps([self.function.kind, self.function.name, self.function.steps])
        return version_of_digests(self.objective, bytes.fromhex(self.function.sha256), hashlib.sha256(called.encode()).digest())


def objective_of(description: Mapping[str, Any], path: Path, sha256: str, asked: Asked) -> ScriptObjective:
    """The objective of one description, as `stride.script` gives it. Raises CatalogProblem."""
    name, is_optuna = description["name"], description["kind"] == "optuna"
    steps = asked.steps if is_optuna else description["steps"]
    direction = (asked.direction or "minimize") if is_optuna else description["direction"]
    try:
        parameters = [_parameter(each, dimension, name) for each, dimension in description["space"].items()]
        if is_optuna:  # it refuses other values when a trial has them
            parameters = [_bounded(each, description["space"][each.name]) for each in parameters]
        rate = _learning_rate(description["space"], asked, name)
    except _Flaw as flaw:
        raise CatalogProblem(f"{flaw} ({path})") from None
    settings = {"threads": computing.SETTINGS["threads"]}
    objective = Objective(
        name=name,
        description=description["description"] or f"{description['function']} of {path.name}.",
        module=MODULE,
        metrics=(Metric(name=description["metric"], direction=direction, description=_of_metric(description)),),
        parameters=tuple(_with_role(each, rate, steps) for each in parameters),
        settings_schema={"type": "object", "properties": settings, "additionalProperties": False},
        step_word="step",
        knows_fraction=steps is not None,
    )
    fault = next(faults_of(objective), None)
    if fault is not None:
        raise CatalogProblem(f"{fault.text} ({path})")
    function = ScriptFunction(
        path=str(path),
        sha256=sha256,
        kind=description["kind"],
        name=description["function"],
        metric=description["metric"],
        steps=steps,
        learning_rate=rate,
    )
    return ScriptObjective(objective=declared(objective), function=function)


def to_document(script: ScriptObjective) -> dict[str, Any]:
    """The objective as what JSON can hold."""
    return {"objective": documents.document_of(script.objective), "function": asdict(script.function)}


def from_document(document: Mapping[str, Any]) -> ScriptObjective:
    """The objective that `to_document` was given."""
    return ScriptObjective(
        objective=documents.objective_of(document["objective"]), function=ScriptFunction(**document["function"])
    )


def as_text(functions: Mapping[str, ScriptFunction]) -> str:
    """Functions by their objective's name, as JSON."""
    return json.dumps({name: asdict(function) for name, function in functions.items()})


def from_text(text: str) -> dict[str, ScriptFunction]:
    """What `as_text` has written."""
    return {name: ScriptFunction(**fields) for name, fields in json.loads(text).items()}


class _Flaw(ValueError):
    pass


def _of_metric(description: Mapping[str, Any]) -> str:
    return "What the function returns." if description["kind"] == "optuna" else "As the function reports it."


def _learning_rate(space: Mapping[str, Any], asked: Asked, name: str) -> str:
    if asked.learning_rate is not None and asked.learning_rate in space:
        return asked.learning_rate
    rates = [each for each in RATES if each in space]
    if len(rates) != 1 or asked.learning_rate is not None:
        said = (
            f"has no parameter {asked.learning_rate!r}" if asked.learning_rate else "has no parameter called learning_rate or lr"
        )
        said = f"has both {' and '.join(rates)}" if len(rates) > 1 and not asked.learning_rate else said
        cure = f"name the learning rate with --learning-rate, one of {', '.join(space)}"
        raise _Flaw(f"{name} {said}: {cure if space else 'write {learning_rate} where its value goes'}")
    return rates[0]


def _with_role(parameter: Parameter, rate: str, steps: int | str | None) -> Parameter:
    # What a usual name says of a measure is about the metrics of our own tasks.
    parameter = replace(by_usual_name(parameter), defines_measure=False)
    if parameter.type == "float" and parameter.space is not None and not {"step", "choices", "points"} & parameter.space.keys():
        parameter = replace(parameter, space={**parameter.space, "points": RATE_POINTS if parameter.name == rate else POINTS})
    if parameter.name == rate:
        if parameter.low is None:
            parameter = replace(parameter, low=0.0, low_open=True)
        return replace(parameter, role="learning_rate")
    if parameter.name == steps:
        return replace(parameter, role="duration", low=1 if parameter.low is None else parameter.low)
    is_taken = parameter.role == "learning_rate" or (parameter.role == "duration" and steps is not None)
    return replace(parameter, role=None if is_taken else parameter.role)


def _bounded(parameter: Parameter, dimension: Mapping[str, Any]) -> Parameter:
    return replace(parameter, low=dimension["low"], high=dimension["high"]) if "low" in dimension else parameter


def _parameter(name: str, dimension: Any, objective: str) -> Parameter:
    """A parameter whose default space is this range. A bare value fixes it."""
    if not isinstance(dimension, Mapping):
        if not isinstance(dimension, bool | int | float | str):
            raise _Flaw(f"{objective}'s {name} is {dimension!r}: it must be a range, a number, text, True or False")
        return _fixed(name, dimension)
    kind = dimension.get("type")
    if kind == "categorical":
        return _categorical(name, dimension, objective)
    if kind not in ("float", "int"):
        raise _Flaw(f'{objective}\'s {name} has a range of type {kind!r}: it must be "float", "int" or "categorical"')
    low, high = dimension.get("low"), dimension.get("high")
    if not _is_number(low) or not _is_number(high):
        raise _Flaw(f"{objective}'s {name} has a range from {low!r} to {high!r}: low and high must be numbers")
    if low == high:
        return _fixed(name, cast(Scalar, low))
    return Parameter(name=name, type=kind, default=_middle(kind, dimension), space=dict(dimension), description="")


def _fixed(name: str, value: Scalar) -> Parameter:
    if isinstance(value, bool | str):
        return Parameter(name=name, type="categorical", choices=(value,), default=value, space=None, description="")
    kind: Literal["float", "int"] = "int" if isinstance(value, int) else "float"
    return Parameter(name=name, type=kind, default=value, space=None, description="")


def _categorical(name: str, dimension: Mapping[str, Any], objective: str) -> Parameter:
    given = dimension.get("choices")
    if not isinstance(given, list | tuple) or not given:
        raise _Flaw(f"{objective}'s {name} is categorical, and has no choices")
    numbers = all(map(_is_number, given))
    choices = list(given) if numbers else [each if isinstance(each, bool | str) else str(each) for each in given]
    if len(set(choices)) < len(choices):
        raise _Flaw(f"{objective}'s {name} has choices that are the same as text: {', '.join(map(repr, given))}")
    if not numbers:
        space = {"type": "categorical", "choices": choices}
        return Parameter(name=name, type="categorical", choices=tuple(choices), default=choices[0], space=space, description="")
    is_whole = all(isinstance(choice, int) for choice in choices)
    choices = choices if is_whole else list(map(float, choices))
    space = {"type": "categorical", "choices": choices}
    return Parameter(name=name, type="int" if is_whole else "float", default=choices[0], space=space, description="")


def _middle(kind: str, dimension: Mapping[str, Any]) -> float | int:
    """A value in the middle of a range, on its own scale, and one of its steps."""
    low, high, step = dimension["low"], dimension["high"], dimension.get("step")
    if dimension.get("log") and low > 0:
        middle = min(max(math.sqrt(low) * math.sqrt(high), low), high)
    else:
        middle = low / 2 + high / 2
    if kind == "int":
        step = step or 1
        return int(low + step * int((middle - low) / step))
    return float(low + step * int((middle - low) / step) if step else middle)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""The objective that a script's description declares: what jobs can be made of."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from objectives import documents
from objectives.catalog import default_params, default_settings
from objectives.contract import Direction, Metric, Objective, Parameter
from objectives.declarations import faults_of
from objectives.documents import version_of_digests
from objectives.meaning import by_usual_name, declared
from objectives.own_modules import CatalogProblem
from objectives.parameters import computing
from objectives.scripts import model_entry
from objectives.scripts.ranges import POINTS, RATE_POINTS, Flaw, own_parameter, with_points
from stride.arguments import RATES

RATE_SPACE: Mapping[str, Any] = {"type": "float", "low": 1e-5, "high": 1.0, "log": True}
"""Of the learning rate, where nothing else is said."""
METRIC = "validation_loss"
"""Of a function or a command that does not declare another."""
MODULE = "objectives.scripts.run"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an operator says of scripts that do not say it themselves."""

    direction: Direction | None = None
    """Of an Optuna objective; None: minimize."""
    learning_rate: str | None = None
    """The name of the parameter; None: the usual ones."""
    steps: int | None = None
    """How many steps an Optuna objective reports, or a function that is called with its arguments; None: not known."""
    metric: str | None = None
    """What such a function reports; None: METRIC."""


@dataclass(frozen=True, kw_only=True)
class ScriptFunction:
    """A function of a script, or a command: what a trainer process needs to know to call it."""

    path: str
    """Of the file; of a command, the folder where it is started."""
    sha256: str
    """Of the file's bytes, or of the command, in hexadecimal digits."""
    kind: Literal["function", "arguments", "optuna", "model", "command"]
    name: str
    """Of the function; or the command, as a shell would take it."""
    metric: str
    steps: int | str | None
    """How many steps a run reports, or the parameter that says so; None: not known."""
    learning_rate: str
    """The name of the parameter."""
    params: Mapping[str, Any]
    """The values of parameters that a job leaves out."""
    settings: Mapping[str, Any]
    """The same of settings."""
    module: str | None = None
    """The file's name as a module, where it belongs to an installed package; None: it stands for itself."""


@dataclass(frozen=True, kw_only=True)
class ScriptObjective:
    """An objective of a script: what jobs are checked against, and what trains them."""

    objective: Objective
    """Completed by `declared`."""
    function: ScriptFunction
    left_alone: Mapping[str, str] = field(default_factory=dict)
    """The arguments of the function that are no parameters, and their values."""

    @property
    def note(self) -> str | None:
        """What of the function cannot be tuned, as a sentence; None: nothing is known."""
        if not self.left_alone:
            return None
        values = ", ".join(f"{name}={value}" for name, value in self.left_alone.items())
        place = f"{Path(self.function.path).name}'s {self.function.name}"
        return f"{place} keeps {values}: a parameter's value is a number, text, True or False."

    @property
    def version_sha256(self) -> bytes:
        """Of the declaration, of the file, and of what an operator has said about it: of all but the place where the file is."""
        called = json.dumps([self.function.kind, self.function.name, self.function.steps])
        return version_of_digests(self.objective, bytes.fromhex(self.function.sha256), hashlib.sha256(called.encode()).digest())


def objective_of(description: Mapping[str, Any], path: Path, sha256: str, asked: Asked) -> ScriptObjective:
    """The objective of one description, as `stride.script` gives it. Raises CatalogProblem."""
    steps: int | str | None
    try:
        if description["kind"] == "model":
            steps, rate = "epochs", "learning_rate"
            objective = _of_model(description, path)
        else:
            rate = _learning_rate(description["space"], asked, description["name"])
            if description["kind"] == "arguments":
                description = _with_arguments(description, rate, asked)
            steps = asked.steps if description["kind"] == "optuna" else description["steps"]
            objective = _of_function(description, path, asked, steps, rate)
    except Flaw as flaw:
        raise CatalogProblem(f"{flaw} ({path})") from None
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
        params=default_params(objective),
        settings=default_settings(objective),
    )
    return ScriptObjective(objective=declared(objective), function=function, left_alone=description.get("left_alone", {}))


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


def _of_model(description: Mapping[str, Any], path: Path) -> Objective:
    return Objective(
        name=description["name"],
        description=description["description"] or f"The model of {path.name}.",
        module=MODULE,
        metrics=model_entry.metrics_of(description["score"], description["loss"]),
        parameters=model_entry.parameters_of(description["space"], description["name"], description["examples"]),
        settings_schema=model_entry.settings_schema(description["settings"]),
    )


def _with_arguments(description: Mapping[str, Any], rate: str, asked: Asked) -> Mapping[str, Any]:
    """What is declared for a function that is called with its arguments: it says nothing itself."""
    return {
        **description,
        "space": {**description["space"], rate: RATE_SPACE},
        "metric": asked.metric or METRIC,
        "direction": asked.direction or "minimize",
        "steps": description["steps"] or asked.steps,
    }


def _of_function(description: Mapping[str, Any], path: Path, asked: Asked, steps: int | str | None, rate: str) -> Objective:
    name, space, is_optuna = description["name"], description["space"], description["kind"] == "optuna"
    direction = (asked.direction or "minimize") if is_optuna else description["direction"]
    parameters = [own_parameter(each, dimension, name) for each, dimension in space.items()]
    if is_optuna:  # it refuses other values when a trial has them
        parameters = [_bounded(each, space[each.name]) for each in parameters]
    settings = {"threads": computing.SETTINGS["threads"]}
    return Objective(
        name=name,
        description=description["description"] or f"{description['function']} of {path.name}.",
        module=MODULE,
        metrics=(Metric(name=description["metric"], direction=direction, description=_of_metric(description)),),
        parameters=tuple(_with_role(each, rate, steps) for each in parameters),
        settings_schema={"type": "object", "properties": settings, "additionalProperties": False},
        step_word="step",
        knows_fraction=steps is not None,
    )


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
        raise Flaw(f"{name} {said}: {cure if space else 'write {learning_rate} where its value goes'}")
    return rates[0]


def _with_role(parameter: Parameter, rate: str, steps: int | str | None) -> Parameter:
    # What a usual name says of a measure is about the metrics of our own tasks.
    parameter = replace(by_usual_name(parameter), defines_measure=False)
    parameter = with_points(parameter, RATE_POINTS if parameter.name == rate else POINTS)
    if parameter.name == rate:
        if parameter.low is None:
            parameter = replace(parameter, low=0.0, low_open=True)
        return replace(parameter, role="learning_rate")
    if parameter.name == steps:
        return replace(parameter, role="duration", low=1 if parameter.low is None else parameter.low)
    is_taken = parameter.role == "learning_rate" or (parameter.role == "duration" and steps is not None)
    return replace(parameter, role=None if is_taken else parameter.role)


def _bounded(parameter: Parameter, dimension: Any) -> Parameter:
    is_range = isinstance(dimension, Mapping) and "low" in dimension
    return replace(parameter, low=dimension["low"], high=dimension["high"]) if is_range else parameter

"""The objective that a job declares itself, for clients that train its trials anywhere. No torch here.

Roles are found as for scripts: by usual names where none is declared, and the parameter that says how many steps there are is the
duration.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from objectives.contract import DEFINES_MEASURE, EXTERNAL, Metric, Objective, Parameter, RateShift
from objectives.meaning import by_usual_name, declared
from objectives.scripts.ranges import POINTS, RATE_POINTS, own_parameter, with_points
from stride.arguments import RATES


def external_objective(document: Mapping[str, Any]) -> Objective:
    """The objective of a job's `objective`, as JSON with all its fields.

    A parameter with neither default nor space has the default None.
    """
    steps = document["steps"]
    parameters = [_at_least_one(each) if each.name == steps else each for each in map(_parameter, document["parameters"])]
    if not any(each.role for each in parameters):
        # What a usual name says of a measure is about the metrics of our own tasks.
        named = [replace(by_usual_name(each), defines_measure=each.defines_measure) for each in parameters]
        parameters = [replace(each, scale=given.scale or each.scale) for each, given in zip(named, parameters, strict=True)]
        parameters = _with_rate(parameters)
    if not any(each.role == "duration" and each.name != steps for each in parameters):
        parameters = [replace(each, role="duration") if each.name == steps and not each.role else each for each in parameters]
    made = Objective(
        name=EXTERNAL,
        description="Trained by clients of the job, which claim its trials by HTTP.",
        module=EXTERNAL,
        metrics=tuple(Metric(**metric) for metric in document["metrics"]),
        parameters=tuple(map(_finished, parameters)),
        step_word=document["step_word"],
        knows_fraction=steps is not None,
    )
    # Not before the roles are found: a setting that defines the measure counts as a declaration.
    settings = {name: {DEFINES_MEASURE: True} for name in document["settings"]}
    return replace(declared(made), settings_schema={"type": "object", "properties": settings, "additionalProperties": False})


def _parameter(document: Mapping[str, Any]) -> Parameter:
    space, kind = document["space"], document["type"]
    if kind == "float" and space is not None and space["type"] == "categorical":
        space = {**space, "choices": list(map(_as_float, space["choices"]))}
    default = document["default"]
    if default is None and space is not None:
        default = own_parameter(document["name"], space, EXTERNAL).default
    if kind == "float":
        default = _as_float(default)
    choices, shift = document["choices"], document["rate_shift"]
    if kind == "categorical" and choices is None and space is not None:
        choices = space.get("choices")
    given = {name: document[name] for name in ("name", "type", "description", "low", "low_open", "high", "high_open", "role")}
    defining = document["defines_measure"]
    return Parameter(
        **given,
        space=None if space is None else {name: value for name, value in space.items() if value is not None},
        default=default,
        choices=None if choices is None else tuple(choices),
        applies_when=tuple({name: tuple(values) for name, values in case.items()} for case in document["applies_when"]),
        scale=document["scale"],
        rate_shift=None if shift is None else RateShift(**shift),
        defines_measure=defining if isinstance(defining, bool) else tuple(defining),
    )


def _at_least_one(steps: Parameter) -> Parameter:
    """The parameter that says how many steps there are: which part of a run is done is a step's number by that."""
    return steps if steps.low is not None and steps.low >= 1 else replace(steps, low=1, low_open=False)


def _with_rate(parameters: Sequence[Parameter]) -> list[Parameter]:
    """With the role of the learning rate where one of the usual names has none yet; of several, none."""
    if sum(each.name in RATES for each in parameters) != 1:
        return list(parameters)
    return [replace(each, role="learning_rate") if each.name in RATES else each for each in parameters]


def _finished(parameter: Parameter) -> Parameter:
    if parameter.role != "learning_rate":
        return with_points(parameter, POINTS)
    if parameter.low is None:
        parameter = replace(parameter, low=0.0, low_open=True)
    return with_points(parameter, RATE_POINTS)


def _as_float(value: Any) -> Any:
    return float(value) if type(value) is int else value

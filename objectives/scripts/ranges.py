"""The parameter that a range declares: in the form of the REST API, or as an option writes it. A bare value fixes it."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, cast

from objectives.contract import Parameter, Scalar
from objectives.own_modules import CatalogProblem

RATE_POINTS, POINTS = 9, 4
"""In how many points a grid divides a range, unless the script says so: that of the learning rate, and others."""


FORMS = "NAME=16,32,64 for choices, NAME=1e-5:1:log or NAME=2:20 for a range, NAME=0.9 for a value"
"""How an option writes a range."""


class Flaw(CatalogProblem):
    """What is declared cannot be used; the message is one sentence."""


def written(options: Sequence[str], *, of_arguments: bool = True) -> dict[str, Any]:
    """The ranges, and values, by the names of their parameters. Raises Flaw.

    options: each as one of FORMS. of_arguments: whether parameters are arguments of a function, so that their names are Python's.
    """
    return dict(_written(option, of_arguments=of_arguments) for option in options)


def own_parameter(name: str, dimension: Any, objective: str) -> Parameter:
    """A parameter whose default space is this range. A bare value fixes it. objective: its name. Raises Flaw."""
    if not isinstance(dimension, Mapping):
        if not isinstance(dimension, bool | int | float | str):
            raise Flaw(f"{objective}'s {name} is {dimension!r}: it must be a range, a number, text, True or False")
        return _fixed(name, dimension)
    kind = dimension.get("type")
    if kind == "categorical":
        return _categorical(name, dimension, objective)
    if kind not in ("float", "int"):
        raise Flaw(f'{objective}\'s {name} has a range of type {kind!r}: it must be "float", "int" or "categorical"')
    low, high = dimension.get("low"), dimension.get("high")
    if not _is_number(low) or not _is_number(high):
        raise Flaw(f"{objective}'s {name} has a range from {low!r} to {high!r}: low and high must be numbers")
    if low == high:
        return _fixed(name, cast(Scalar, low))
    return Parameter(name=name, type=kind, default=_middle(kind, dimension), space=dict(dimension), description="")


def with_ranges(parameters: Sequence[Parameter], space: Mapping[str, Any], objective: str) -> tuple[Parameter, ...]:
    """The parameters with other ranges and values for those in `space`; others that cannot apply with them lose their ranges.

    objective: its name. Raises Flaw.
    """
    given = {name: own_parameter(name, dimension, objective) for name, dimension in space.items()}
    ranged = [_with_range(each, given[each.name]) if each.name in given else each for each in parameters]
    possible = {each.name: (each.space or {}).get("choices", (each.default,)) for each in ranged}
    return tuple(each if each.name in given or each.may_apply(possible) else replace(each, space=None) for each in ranged)


def with_points(parameter: Parameter, points: int = POINTS) -> Parameter:
    """The parameter with so many points for a grid, where its range does not say how many."""
    if parameter.type != "float" or parameter.space is None or {"step", "choices", "points"} & parameter.space.keys():
        return parameter
    return replace(parameter, space={**parameter.space, "points": points})


def _with_range(parameter: Parameter, given: Parameter) -> Parameter:
    is_whole = parameter.type == "float" and type(given.default) is int
    default = float(given.default) if is_whole else given.default
    points = (parameter.space or {}).get("points", POINTS)
    return replace(parameter, default=default, space=None if given.space is None else with_points(given, points).space)


def _fixed(name: str, value: Scalar) -> Parameter:
    if isinstance(value, bool | str):
        return Parameter(name=name, type="categorical", choices=(value,), default=value, space=None, description="")
    kind: Literal["float", "int"] = "int" if isinstance(value, int) else "float"
    return Parameter(name=name, type=kind, default=value, space=None, description="")


def _categorical(name: str, dimension: Mapping[str, Any], objective: str) -> Parameter:
    given = dimension.get("choices")
    if not isinstance(given, list | tuple) or not given:
        raise Flaw(f"{objective}'s {name} is categorical, and has no choices")
    numbers = all(map(_is_number, given))
    choices = list(given) if numbers else [each if isinstance(each, bool | str) else str(each) for each in given]
    if len(set(choices)) < len(choices):
        raise Flaw(f"{objective}'s {name} has choices that are the same as text: {', '.join(map(repr, given))}")
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


def _written(text: str, *, of_arguments: bool) -> tuple[str, Any]:
    """The name and the range, or the value, of a parameter. Raises Flaw."""
    name, equals, given = text.partition("=")
    if not equals or not name or not given or (of_arguments and not name.isidentifier()):
        raise Flaw(f"--param {text} is none of {FORMS}")
    if "," in given:
        return name, {"type": "categorical", "choices": [_value(part) for part in given.split(",")]}
    if ":" not in given:
        return name, _value(given)
    low, high, *scale = given.split(":")
    ends = [_value(low), _value(high)]
    if scale not in ([], ["log"]) or any(isinstance(end, bool | str) for end in ends):
        raise Flaw(f"--param {text} is none of {FORMS}")
    kind = "int" if all(isinstance(end, int) for end in ends) else "float"
    return name, {"type": kind, "low": ends[0], "high": ends[1], **({"log": True} if scale else {})}


def as_float(dimension: Any) -> Any:
    """The range or value of a parameter of floating-point numbers that was written in whole numbers, such as 1:10."""
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

"""What a parameter may be where other parameters or settings bound it, and what is said of one that is not. No torch here."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from objectives.contract import Bound, Objective, Parameter


class Crossing(NamedTuple):
    """A parameter that may lie beyond a bound."""

    parameter: Parameter
    bound: Bound
    text: str
    """What is wrong, in a sentence that names both."""


class Ends(NamedTuple):
    """What a number may be: `low` and `high` are equal where it has one value."""

    low: float
    high: float


def crossings(
    objective: Objective, ends: Callable[[str], Ends | None], values: Callable[[str], Iterator[Any]]
) -> Iterator[Crossing]:
    """Where a combination of values is beyond a bound.

    ends: of a parameter; None where it has no effect. values: those of a parameter or setting that may matter to a bound: of a
    range its ends.
    """
    for parameter in objective.parameters:
        found = ends(parameter.name) if parameter.bounds else None
        for bound in parameter.bounds if found is not None else ():
            limit = narrowest(bound, values(bound.given_by))
            assert found is not None
            if limit is not None and (found.high > limit[0] if bound.end == "high" else found.low < limit[0]):
                yield Crossing(parameter, bound, _sentence(parameter, bound, found, *limit))


def narrowest(bound: Bound, values: Iterator[Any]) -> tuple[float, Any] | None:
    """The narrowest bound that these values give, with the value that gives it; None: they give none."""
    limits = [(limit, value) for value in values if (limit := bound.at(value)) is not None]
    sign = 1 if bound.end == "high" else -1
    return min(limits, key=lambda each: sign * each[0], default=None)


def crossing_of(objective: Objective, values: Mapping[str, Any]) -> Crossing | None:
    """The first parameter that is beyond a bound, where each parameter and each setting has one value."""
    return next(crossings(objective, lambda name: Ends(values[name], values[name]), lambda name: iter((values[name],))), None)


def _sentence(parameter: Parameter, bound: Bound, ends: Ends, limit: float, given: Any) -> str:
    is_high = bound.end == "high"
    value = ends.high if is_high else ends.low
    several = "" if ends.low == ends.high else f"of {'up' if is_high else 'down'} to "
    beyond = "exceeds" if is_high else "is below"
    there = f" with {bound.given_by} {given}" if bound.by_value is not None else ""
    said = f"{parameter.name} {several}{value:.12g} {beyond} the {limit:.12g} {bound.counts}{there}"
    change = ("lower it", "raise") if is_high else ("raise it", "lower")
    return f"{said}: {change[0]}" + ("" if bound.by_value is not None else f", or {change[1]} {bound.given_by}")

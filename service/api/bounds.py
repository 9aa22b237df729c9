"""Parameters that other parameters and settings bound: what a job must not combine, and default ranges cut to what it may."""

from collections.abc import Iterator, Mapping
from typing import Any

from objectives.bounds import Ends, crossings, narrowest
from objectives.catalog import all_values
from objectives.contract import Objective
from service.api.applicability import Applicability
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange, SearchSpace
from service.errors import Invalid, pointer


def bound_faults(
    asked_for: SearchSpace, space: SearchSpace, settings: Mapping[str, Any], objective: Objective, applicability: Applicability
) -> Iterator[Invalid]:
    """Every combination that a job may try must be one that can be trained.

    Named is the parameter, or what bounds it where the job names only that one.
    """
    dimensions = all_values(objective, space, settings)
    parameters = {parameter.name for parameter in objective.parameters}

    def ends(name: str) -> Ends | None:
        return _ends(dimensions[name]) if applicability.may_apply(name) else None

    def values(name: str) -> Iterator[Any]:
        return _extremes(dimensions[name]) if applicability.may_apply(name) else iter(())

    for crossing in crossings(objective, ends, values):
        name, other = crossing.parameter.name, crossing.bound.given_by
        if name in asked_for or (other in parameters and other not in asked_for):
            where = pointer("search_space", name)
        elif other in parameters:
            where = pointer("search_space", other)
        else:
            where = pointer("objective", "settings", other)
        yield Invalid(where, crossing.text)


def within_bounds(space: SearchSpace, settings: Mapping[str, Any], objective: Objective) -> SearchSpace:
    """Default ranges without what other values of the job rule out; one of which nothing is left is left out."""
    dimensions, cut = all_values(objective, space, settings), dict(space)
    for parameter in objective.parameters:
        for bound in parameter.bounds if parameter.name in cut else ():
            limit = narrowest(bound, _extremes(dimensions[bound.given_by]))
            left = None if limit is None else _cut(cut[parameter.name], bound.end, limit[0])
            if limit is not None and left is None:
                del cut[parameter.name]
                break
            if left is not None:
                cut[parameter.name] = left
    return cut


def _ends(dimension: Dimension) -> Ends | None:
    numbers = [value for value in _extremes(dimension) if isinstance(value, int | float)]
    return Ends(min(numbers), max(numbers)) if numbers else None


def _extremes(dimension: Any) -> Iterator[Any]:
    """Values among which the least and the largest are; of what has no order, all."""
    match dimension:
        case CategoricalRange():
            yield from dimension.choices
        case FloatRange() | IntRange():
            yield from (dimension.low, dimension.high)
        case value:
            yield value


def _cut(dimension: Dimension, end: str, limit: float) -> Dimension | None:
    """What of a range is within a bound; None: nothing, or no range."""

    def is_within(value: Any) -> bool:
        return bool(value <= limit if end == "high" else value >= limit)

    match dimension:
        case CategoricalRange():
            choices = tuple(filter(is_within, dimension.choices))
            return dimension.model_copy(update={"choices": choices}) if choices else None
        case FloatRange() | IntRange():
            if is_within(dimension.high if end == "high" else dimension.low):
                return dimension
            nearest = int(limit) if isinstance(dimension, IntRange) else limit
            low, high = (dimension.low, nearest) if end == "high" else (nearest, dimension.high)
            return dimension.model_copy(update={"low": low, "high": high}) if low < high else None
        case _:
            return dimension

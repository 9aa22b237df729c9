"""Which ranges and values a parameter may have."""

import math
from collections.abc import Iterator

from objectives.contract import Parameter
from service.api.applicability import shown
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange, Scalar, discrete_values


def range_faults(parameter: Parameter, dimension: Dimension) -> Iterator[str]:
    """Why a parameter cannot be searched in a range, or fixed at a value."""
    match dimension:
        case FloatRange() if parameter.type != "float":
            yield f"takes {KINDS[parameter.type]}, so its range cannot be of type float"
        case IntRange() if parameter.type == "categorical":
            yield f"takes {KINDS[parameter.type]}, so its range must be of type categorical"
        case FloatRange() | IntRange():
            yield from value_faults(parameter, dimension.low)
            yield from value_faults(parameter, dimension.high)
            if discrete_values(dimension) == 1:  # not checked with the range, since stored jobs may have such steps
                yield f"the range holds one value only, its step is larger: write {dimension.low!r} instead to fix the parameter"
            # Optuna's samplers draw from half a step below the range to half a step above it.
            if not math.isfinite(dimension.high - dimension.low + (dimension.step or 0)):
                yield f"is wider than the largest number: narrow {dimension.low:g} to {dimension.high:g}"
        case CategoricalRange():
            if len(set(dimension.choices)) < len(dimension.choices):  # as floats: two large integers may be one
                yield "the choices must differ from each other"
            for choice in dimension.choices:
                yield from value_faults(parameter, choice)
        case _:
            yield from value_faults(parameter, dimension)


KINDS = {"float": "a number", "int": "a whole number", "categorical": "one of its choices"}
"""What a parameter takes, by its type."""


def value_faults(parameter: Parameter, value: Scalar) -> Iterator[str]:
    """Why a parameter cannot have a value."""
    if parameter.type == "categorical":
        choices = parameter.choices or ()
        if not any(same(value, choice) for choice in choices):
            yield f"{shown(value)} is not one of {', '.join(map(shown, choices))}"
        return
    if isinstance(value, bool | str) or (parameter.type == "int" and not isinstance(value, int)):
        yield f"{shown(value)} is not {KINDS[parameter.type]}"
        return
    low, high = parameter.low, parameter.high
    if low is not None and (value < low or (value == low and parameter.low_open)):
        yield f"{value!r} must be {'above' if parameter.low_open else 'at least'} {low:.12g}"
    if high is not None and (value > high or (value == high and parameter.high_open)):
        yield f"{value!r} must be {'below' if parameter.high_open else 'at most'} {high:.12g}"


def same(one: Scalar, other: Scalar) -> bool:
    """Whether two values are equal in JSON as well: in Python, True equals 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)

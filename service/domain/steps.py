"""The steps of a range, and its evenly spaced values, as people write them: 4.6, where floats add up to 4.6000000000000005.

Samplers, grids and answers take steps from here, so that a step is one float, however it was reached: trained, stored, compared.
Computed in decimals, from the ends and the step as they are written, and rounded to a float once.
"""

import math
from decimal import Context, Decimal, localcontext
from functools import lru_cache

ROUNDING_ULPS = 8
"""By how much a step that was computed in floats may be off, in units in the last place of its largest term."""

_DIGITS = Context(prec=50)


def n_steps(low: float, high: float, step: float) -> int:
    """How many values from `low` to `high` are steps."""
    return math.floor((_decimal(high) - _decimal(low)) / _decimal(step)) + 1


@lru_cache(maxsize=16)
def steps(low: float, high: float, step: float) -> tuple[float, ...]:
    """All of them, ascending. There may be astronomically many: see `n_steps`."""
    return tuple(step_at(low, step, index) for index in range(n_steps(low, high, step)))


def step_at(low: float, step: float, index: int) -> float:
    """The value of step number `index`; 0: `low`."""
    return float(_DIGITS.fma(Decimal(index), _decimal(step), _decimal(low)))


def nearest_step(low: float, high: float, step: float, value: float) -> float:
    """The step that is nearest to `value`."""
    index = round((_decimal(value) - _decimal(low)) / _decimal(step))
    return step_at(low, step, min(max(index, 0), n_steps(low, high, step) - 1))


def step_equal_to(low: float, high: float, step: float, value: float) -> float | None:
    """The step that `value` equals up to the rounding of floats; None where it lies between steps, or outside the range."""
    if not low <= value <= high:
        return None
    nearest = nearest_step(low, high, step, value)
    # A step may be as small as four units in the last place: half a step off is never equal.
    tolerance = min(ROUNDING_ULPS * math.ulp(max(abs(low), abs(value))), step / 4)
    return nearest if abs(value - nearest) <= tolerance else None


@lru_cache(maxsize=16)
def spaced(low: float, high: float, points: int, *, log: bool) -> tuple[float, ...]:
    """`points` evenly spaced values, ascending, with both ends. Some may be equal where floats are not dense enough."""
    first, last = ((_DIGITS.ln(_decimal(end)) if log else _decimal(end)) for end in (low, high))
    with localcontext(_DIGITS):
        inner = [(first * (points - 1 - index) + last * index) / (points - 1) for index in range(1, points - 1)]
        values = [float(value.exp() if log else value) for value in inner]
    return (low, *(min(max(value, low), high) for value in values), high)


@lru_cache(maxsize=1024)
def _decimal(number: float) -> Decimal:
    return Decimal(repr(float(number)))

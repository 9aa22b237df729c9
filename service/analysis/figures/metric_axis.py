"""The axis of a metric: which of its values are possible, and which of them are drawn.

sign, throughout: 1 where lower is better, -1 where higher is.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.analysis.words.numbers import counted

SPANS = 8.0
"""An axis is logarithmic where its largest value is more than this many times its smallest: else the lower ones were one line. A
linear axis reaches so many times as far as nine tenths of its values."""


def scale_of(values: Sequence[float], sign: float = 1.0) -> str:
    """Plotly's type of an axis that shows these values. Never logarithmic for a metric that is to be high: it would spread the
    worst of its values, and press the best together."""
    found = [value for value in values if math.isfinite(value)]
    is_wide = bool(found) and min(found) > 0 and max(found) > SPANS * min(found)
    return "log" if is_wide and sign > 0 else "linear"


def possible(measured: Sequence[float | None], sign: float) -> tuple[float, float]:
    """The ends of what a metric may be, where an expected one is drawn: from 0 where none is negative, and to 1 where a metric
    that is to be high lies between 0 and 1, as an accuracy does. measured: of complete trials."""
    found = [value for value in measured if value is not None and math.isfinite(value)]
    low = 0.0 if found and min(found) >= 0 else -math.inf
    return low, 1.0 if sign < 0 and low == 0 and max(found) <= 1 else math.inf


def clipped(value: float, ends: tuple[float, float]) -> float:
    """The nearest value between the ends."""
    return min(max(value, ends[0]), ends[1])


def height_range(heights: Sequence[float], kind: str, *, low_is_bad: bool = False, high_is_bad: bool = False) -> dict[str, Any]:
    """The vertical range, with room above for a row of marks; none where Plotly finds one as good.

    A few exploded values would squeeze all others into a line: on a linear axis they are left out at an end that is bad.
    """
    found = sorted(value for value in heights if math.isfinite(value))
    if len(found) < 2 or found[0] == found[-1]:
        return {}
    low, high = found[0], found[-1]
    if kind == "log":
        first, last = math.log10(low), math.log10(high)
        return {"range": [first - 0.05 * (last - first), last + 0.12 * (last - first)]}
    few = len(found) - 1 - int(0.9 * (len(found) - 1))
    begin, end = found[few] if low_is_bad else low, found[-1 - few] if high_is_bad else high
    if end > begin:
        least = end - SPANS * (end - begin) if low_is_bad else low
        most = begin + SPANS * (end - begin) if high_is_bad else high
        within = [value for value in found if least <= value <= most]
        low, high = within[0], within[-1]
    return {"range": [low - 0.05 * (high - low), high + 0.12 * (high - low)]}


def outside(values: Sequence[float], axis: Mapping[str, Any]) -> str:
    """A sentence about trials whose values the range of an axis leaves out, after a blank; empty where there are none."""
    if "range" not in axis:
        return ""
    low, high = axis["range"]
    if axis["type"] == "log":
        values = [math.log10(value) if value > 0 else -math.inf for value in values]
    n = sum(not low <= value <= high for value in values)
    return f" {counted(n, 'trial lies', 'trials lie')} outside of what is drawn." if n else ""

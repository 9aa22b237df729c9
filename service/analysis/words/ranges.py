"""Intervals and ranges, as sentences and tables have them."""

from service.analysis.words.numbers import number
from service.domain.answer import EstimateView, IntervalView, SafeRangeView


def estimate(found: EstimateView) -> str:
    """0.12 (0.11 to 0.13)"""
    return f"{found.mean:.3g} ({found.low:.3g} to {found.high:.3g})"


def ends(of: IntervalView | SafeRangeView, rate: float | None) -> tuple[str, str]:
    """Of a range of rates, with three digits; with as many as the rate has, where it would lie outside for rounding."""
    for digits in (3, 4):
        low, high = f"{of.low:.{digits}g}", f"{of.high:.{digits}g}"
        if rate is None or float(low) <= float(number(rate)) <= float(high):
            break
    return low, high


def end_to_end(of: IntervalView | SafeRangeView, rate: float | None) -> str:
    """0.011 to 0.043"""
    return " to ".join(ends(of, rate))

"""Intervals and ranges, as sentences and tables show them."""

from service.analysis.words.numbers import number
from service.domain.answer import EstimateView, IntervalView, SafeRangeView


def estimate(of: EstimateView) -> str:
    """0.12 (0.11 to 0.13)"""
    return f"{of.mean:.3g} ({of.low:.3g} to {of.high:.3g})"


def ends(of: IntervalView | SafeRangeView, rate: float | None) -> tuple[str, str]:
    """The ends of a range of rates, with three digits; with four, as the rate, if rounding would put the rate outside."""
    for digits in (3, 4):
        low, high = f"{of.low:.{digits}g}", f"{of.high:.{digits}g}"
        if rate is None or float(low) <= float(number(rate)) <= float(high):
            break
    return low, high


def end_to_end(of: IntervalView | SafeRangeView, rate: float | None) -> str:
    """0.011 to 0.043"""
    return " to ".join(ends(of, rate))

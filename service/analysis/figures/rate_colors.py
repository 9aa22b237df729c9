"""Colours that tell learning rates apart: dark for low rates, bright for high ones.

They follow Matplotlib's Viridis, whose lightness rises evenly, so that people with any kind of colour vision see the order; its
ends are moved towards the middle, to be seen on a dark page and on a light one.
"""

import math
from collections.abc import Sequence
from typing import Any

from service.analysis.words.numbers import number

_STOPS = ((82, 74, 163), (49, 118, 160), (32, 158, 138), (106, 196, 88), (228, 199, 41))


class RateColors:
    """A scale of colours over the logarithms of rates, all of them positive."""

    def __init__(self, rates: Sequence[float]) -> None:
        self.low, self.high = min(rates), max(rates)
        self._ends = math.log10(self.low), math.log10(self.high)

    @property
    def said(self) -> str:
        """In words: which rates, and how they are told apart."""
        if self.low == self.high:
            return f"at a rate of {number(self.low)}"
        return f"at rates from {number(self.low)}, dark, to {number(self.high)}, bright"

    def of(self, rate: float) -> str:
        """The colour of a rate."""
        low, high = self._ends
        return _color((math.log10(rate) - low) / (high - low) if high > low else 0.5)

    def bar(self) -> dict[str, Any]:
        """A trace without a point, which shows what the colours mean where there are several."""
        low, high = self._ends
        ticks = [float(tick) for tick in range(math.ceil(low), math.floor(high) + 1)]
        ticks = ticks if len(ticks) > 1 else [low, high]
        return {
            "type": "scatter",
            "mode": "markers",
            "x": [None],
            "y": [None],
            "hoverinfo": "skip",
            "marker": {
                "color": [low],
                "cmin": low,
                "cmax": high,
                "colorscale": [[share / 8, _color(share / 8)] for share in range(9)],
                "showscale": high > low,
                "colorbar": {
                    "title": {"text": "learning rate"},
                    "tickvals": ticks,
                    "ticktext": [number(10**tick) for tick in ticks],
                    "thickness": 12,
                },
            },
        }


def _color(share: float) -> str:
    at = share * (len(_STOPS) - 1)
    first = min(int(at), len(_STOPS) - 2)
    mixed = (round(a + (b - a) * (at - first)) for a, b in zip(_STOPS[first], _STOPS[first + 1], strict=True))
    return "rgb(" + ",".join(map(str, mixed)) + ")"

"""Colours that tell learning rates apart: dark for low rates, bright for high ones, as Matplotlib's Cividis."""

import math
from collections.abc import Sequence
from typing import Any

from service.analysis.words.numbers import number

_DARK, _MIDDLE, _LIGHT = (0, 62, 122), (124, 123, 120), (246, 214, 68)


class RateColors:
    """A scale of colours over the logarithms of rates, all of them positive."""

    def __init__(self, rates: Sequence[float]) -> None:
        self.low, self.high = min(rates), max(rates)
        self._ends = math.log10(self.low), math.log10(self.high)

    def of(self, rate: float) -> str:
        """The colour of a rate."""
        low, high = self._ends
        return _color((math.log10(rate) - low) / (high - low) if high > low else 0.5)

    def bar(self) -> dict[str, Any]:
        """A trace without a point, which shows what the colours mean."""
        low, high = self._ends
        ticks = [float(tick) for tick in range(math.ceil(low), math.floor(high) + 1)] or [low]
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
                "showscale": True,
                "colorbar": {
                    "title": {"text": "learning rate"},
                    "tickvals": ticks,
                    "ticktext": [number(10**tick) for tick in ticks],
                    "thickness": 12,
                },
            },
        }


def _color(share: float) -> str:
    first, last, at = (_DARK, _MIDDLE, 2 * share) if share < 0.5 else (_MIDDLE, _LIGHT, 2 * share - 1)
    return "rgb(" + ",".join(str(round(a + (b - a) * at)) for a, b in zip(first, last, strict=True)) + ")"

"""The synthetic loss that all contenders optimize. Standard library only, since peers in other environments use it."""

import math
from collections.abc import Mapping
from typing import Any


def loss_of(params: Mapping[str, Any], part: float = 1.0) -> float:
    """Lowest at a learning rate of 0.01, so that TPE has something to learn from; sinks as training goes on."""
    return float((math.log10(params["learning_rate"]) + 2) ** 2 + (1 - part) + abs(params["momentum"] - 0.9))

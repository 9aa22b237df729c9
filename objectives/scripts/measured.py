"""A step that was measured in another process, as the contract's measurement."""

import math
from collections.abc import Mapping
from typing import Any

from objectives.contract import Divergence, GroupRate, Measurement


def measured(
    metric: str, steps: int | None, *, step: int, metrics: Mapping[str, float], learning_rate: float, seconds: float
) -> Measurement:
    """The measurement of one step. steps: how many the run has; None: not known. A run whose metric is no number has diverged."""
    fraction = step / (step + 1) if steps is None else min(1.0, step / steps)
    value, divergence = metrics.get(metric, 0.0), None
    if not math.isfinite(value):
        divergence = Divergence(reason=f"{metric} was {value} at step {step}", update=step, fraction=fraction)
    return Measurement(
        step=step,
        fraction=fraction,
        in_warmup=False,
        metrics=metrics,
        learning_rate=learning_rate,
        seconds=seconds,
        divergence=divergence,
    )


def from_fields(fields: Mapping[str, Any]) -> Measurement:
    """The measurement whose fields, by dataclasses.asdict, came as JSON."""
    divergence = fields["divergence"]
    read = {
        "divergence": None if divergence is None else Divergence(**divergence),
        "group_rates": [GroupRate(**group) for group in fields["group_rates"]],
    }
    return Measurement(**{**fields, **read})

"""A step that was measured in another process, as the contract's measurement."""

import math
from collections.abc import Mapping
from typing import Any

from objectives.contract import Divergence, GroupRate, Measurement

TRAINING_LOSS = "training_loss"


def measured(
    metric: str, steps: int | None, *, step: int, metrics: Mapping[str, float], learning_rate: float, seconds: float
) -> Measurement:
    """The measurement of one step. steps: how many the run has; None: not known.

    A run has diverged where its metric or its training loss is no number: an accuracy stays one where the loss is none.
    """
    fraction = step / (step + 1) if steps is None else min(1.0, step / steps)
    divergence = None
    for name in (metric, TRAINING_LOSS):
        if not math.isfinite(value := metrics.get(name, 0.0)):
            divergence = Divergence(reason=f"{name} was {value} at step {step}", update=step, fraction=fraction)
            break
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

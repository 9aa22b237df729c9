"""A step that was measured in another process, as the contract's measurement."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import Divergence, GroupRate, Measurement
from objectives.diagnosis.divergence import find_no_number


def measured(
    metric: str, steps: int | None, *, step: int, metrics: Mapping[str, float], learning_rate: float, seconds: float
) -> Measurement:
    """The measurement of one step. steps: how many the run has; None: not known."""
    fraction = step / (step + 1) if steps is None else min(1.0, step / steps)
    return Measurement(
        step=step,
        fraction=fraction,
        in_warmup=False,
        metrics=metrics,
        learning_rate=learning_rate,
        seconds=seconds,
        divergence=find_no_number(metrics, metric, step=step, fraction=fraction),
    )


def from_fields(fields: Mapping[str, Any]) -> Measurement:
    """The measurement whose fields, by dataclasses.asdict, came as JSON."""
    divergence = fields["divergence"]
    read = {
        "divergence": None if divergence is None else Divergence(**divergence),
        "group_rates": [GroupRate(**group) for group in fields["group_rates"]],
    }
    return Measurement(**{**fields, **read})

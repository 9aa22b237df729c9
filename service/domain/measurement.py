"""What one step of a trial's training showed. Trainer processes import this: nothing here takes long to."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GroupRate:
    """What the optimizer used for one group of parameters, in a step's last update."""

    group: str
    learning_rate: float
    momentum: float | None
    """None for optimizers that have none."""


@dataclass(frozen=True, kw_only=True)
class StepMeasurement:
    """One step of a trial's training, as reported and as stored."""

    step: int
    fraction: float
    in_warmup: bool
    metrics: Mapping[str, float]
    """May hold nan and inf."""
    learning_rate: float
    seconds: float
    group_rates: tuple[GroupRate, ...] = ()
    """By group, where the objective tells."""
    update_losses: tuple[tuple[int, float], ...] = ()
    """(update, training loss), where the objective tells."""
    best_step: int | None = None
    """The step whose weights the run would keep if it ended here; None: this step's."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """An intermediate value, and where in the trial's own schedule it was measured, if we measured it."""

    step: int
    value: float
    fraction: float | None
    in_warmup: bool

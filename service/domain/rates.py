"""Learning rates as they were applied. Trainer processes import this: nothing here takes long to."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class GroupRate:
    """What the optimizer used for one group of parameters, in a step's last update."""

    group: str
    learning_rate: float
    momentum: float | None
    """None for optimizers that have none."""

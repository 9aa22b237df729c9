"""What was measured at one step of a trial: one type, from the run that yields it to the table that stores it.

It is defined by the objective contract, a module that imports nothing else of ours. An objective may put any values into it; the
trainer process converts them to plain ones. Trainer processes import this module, so it must import quickly.
"""

from dataclasses import dataclass

from objectives.contract import Divergence, GroupRate, Measurement

__all__ = ["MAX_ENTRIES", "MAX_STEP", "MAX_UPDATE", "MAX_UPDATE_LOSSES", "CurvePoint", "Divergence", "GroupRate", "Measurement"]

MAX_STEP = 2**31 - 1
"""The largest step that can be stored."""

MAX_ENTRIES = 10_000
"""The largest number of parameter groups, and of losses by update, in one measurement."""

MAX_UPDATE_LOSSES = 10_000
"""The largest number of losses by update in one attempt. A run is asked for 1,000; one that reported all of its millions would
fill the disk."""

MAX_UPDATE = 2**53
"""The largest update number: up to here every JSON reader represents integers exactly."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """An intermediate value, and the fraction of the trial's own schedule at which it was measured; None for foreign values."""

    step: int
    value: float
    fraction: float | None
    in_warmup: bool


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What was measured of a run beside its metric, as far as its objective measures it."""

    clipped: float | None = None
    """The part of the updates that were clipped, in the second half of the run."""
    gradient_norm: float | None = None
    """Mean norm of the gradient before it was clipped."""
    updates: int | None = None
    """How many updates the run made."""
    update_to_weight: float | None = None
    """By what part of themselves an update changed the weights, on average."""

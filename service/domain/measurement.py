"""What one step of a trial's training showed: one type, from the run that yields it to the table that holds it.

It is the objective contract's own, a module that imports nothing of ours. What an objective yields may hold anything; from the
trainer process on its values are plain. Trainer processes import this: nothing here takes long to.
"""

from dataclasses import dataclass

from objectives.contract import Divergence, GroupRate, Measurement

__all__ = ["MAX_ENTRIES", "MAX_STEP", "MAX_UPDATE", "MAX_UPDATE_LOSSES", "CurvePoint", "Divergence", "GroupRate", "Measurement"]

MAX_STEP = 2**31 - 1
"""The largest step that is stored."""

MAX_ENTRIES = 10_000
"""Of groups, and of losses by update, in one measurement."""

MAX_UPDATE_LOSSES = 10_000
"""That an attempt may measure: a run is asked for 1,000, and one that told each of its millions would fill the disk."""

MAX_UPDATE = 2**53
"""The largest whole number that every reader of JSON keeps."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """An intermediate value, and where in the trial's own schedule it was measured, if we measured it."""

    step: int
    value: float
    fraction: float | None
    in_warmup: bool

"""Parts of a schedule: the steps at which curves are compared (DESIGN decision 9). Pure functions; trainers import them, too."""

import math

from service.domain.measurement import Measurement

_ROUNDING = 1e-9


def parts_done(fraction: float, parts: int) -> int:
    """How many of the equal parts of its schedule a trial has completed at `fraction`."""
    return math.floor(fraction * parts + _ROUNDING)


def is_pruning_step(before: float, fraction: float, in_warmup: bool, parts: int) -> bool:
    """Whether the pruner is asked at `fraction`: where a part ends, but never at the end of the schedule or during warm-up.

    before: the fraction at the last step outside warm-up, 0 at first. So the first step after warm-up counts for all parts that
    ended during it. Values measured during warm-up are not comparable, but the decision should not wait for the next part.
    """
    return not in_warmup and fraction < 1 - _ROUNDING and parts_done(fraction, parts) > parts_done(before, parts)


def counted(item: Measurement | None) -> float:
    """The part of its schedule that a run had completed, as pruners count it: 0 during warm-up."""
    return 0.0 if item is None or item.in_warmup else item.fraction

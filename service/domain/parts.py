"""Parts of a schedule: the steps in which curves are compared (DESIGN decision 9). Pure, and imported by trainers too."""

import math

_ROUNDING = 1e-9


def parts_done(fraction: float, parts: int) -> int:
    """How many equal parts of its schedule a trial has behind it at `fraction`."""
    return math.floor(fraction * parts + _ROUNDING)


def is_pruning_step(before: float, fraction: float, in_warmup: bool, parts: int) -> bool:
    """Whether the pruner is asked at `fraction`: where a part ends, never at the end, and never in warm-up.

    before: where the last step outside warm-up ended, 0 at first. So the first step after warm-up stands for all parts that ended
    in it: what was measured there says nothing yet, but a trial should not go on to the next part for that.
    """
    return not in_warmup and fraction < 1 - _ROUNDING and parts_done(fraction, parts) > parts_done(before, parts)

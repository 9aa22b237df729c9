"""Curves as pruners see them: a step is an equal part of the trial's own schedule (DESIGN decision 9).

Early in training, high learning rates look better than they are, and how much depends on the schedule. So a trial is compared
with others only at the same part of its own schedule, and not while its learning rate is still warming up.
"""

from collections.abc import Sequence

from service.domain.parts import parts_done
from service.store.trials import CurvePoint


def values_by_part(curve: Sequence[CurvePoint], parts: int) -> dict[int, float]:
    """From a curve by step to values by part, 1 to `parts`.

    The value of a part is the first one measured at or after its end. Parts that end inside warm-up are left out, and so are
    points without a fraction, which a foreign script reported.
    """
    values: dict[int, float] = {}
    done = 0
    for point in curve:
        if point.fraction is None:
            continue
        reached = parts_done(point.fraction, parts)
        if not point.in_warmup:
            values |= {part: point.value for part in range(done + 1, reached + 1)}
        done = max(done, reached)
    return values

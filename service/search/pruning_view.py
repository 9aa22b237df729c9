"""Learning curves as pruners see them: a step is an equal part of the trial's own schedule (DESIGN decision 9).

Early in training, high learning rates look better than they are; how much better depends on the schedule. So trials are compared
only at the same part of their own schedules, and never during learning-rate warm-up.
"""

import math
import sys
from collections.abc import Sequence

from service.domain.measurement import CurvePoint
from service.domain.parts import parts_done


def values_by_part(curve: Sequence[CurvePoint], parts: int) -> dict[int, float]:
    """The values of a curve by part of the schedule, 1 to `parts`.

    The value of a part is the first one measured at or after its end, outside warm-up. Points without a fraction are left out:
    a foreign script reported them. Infinite values become the largest float: percentiles of infinite values are NaN, and
    Optuna's percentile pruners would then prune nothing.
    """
    values: dict[int, float] = {}
    done = 0
    for point in curve:
        if point.fraction is None or point.in_warmup:
            continue
        reached = parts_done(point.fraction, parts)
        values |= {part: _finite(point.value) for part in range(done + 1, reached + 1)}
        done = max(done, reached)
    return values


def _finite(value: float) -> float:
    return math.copysign(sys.float_info.max, value) if math.isinf(value) else value

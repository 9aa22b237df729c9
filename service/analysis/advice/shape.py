"""What the metric did over a run: where it was best, what it won late, how it jumped. Changes are seen beside a run's own fall,
since a part of a value says nothing where the value is nearly 0, or where the metric may have either sign."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.analysis.advice.seen import Seen
from service.domain.trial import Trial

SMALLEST_SIZE = 0.05
"""A change is measured by the value that changed, or by this part of the run's whole fall where the value is nearer to 0."""

OFTEN = 0.2
"""The part of the late steps that must rise, so that a run jumps."""


@dataclass(frozen=True)
class Change:
    """The metric before and after something, as costs; and by how much it changed."""

    before: float
    after: float
    of_value: float
    """The change as a part of the value itself."""
    of_fall: float
    """The change as a part of the run's whole fall."""

    @property
    def score(self) -> float:
        """The geometric mean of both parts: a loss that is nearly 0 always changes by large parts of itself."""
        return math.sqrt(max(0.0, self.of_value * self.of_fall))


@dataclass(frozen=True)
class Best:
    """Where a run was best."""

    part: float
    """After which part of the run."""
    best: float
    last: float
    """The cost there, and at its end."""
    rise: float
    """By how much it got worse from there to its end, as a part of the best."""


def best_of(seen: Seen, trial: Trial) -> Best | None:
    """None where nothing was measured."""
    costs = seen.costs_of(trial)
    if not costs:
        return None
    best, last = min(costs), costs[-1]
    size = _size(best, _fall(seen, trial))
    return Best((costs.index(best) + 1) / len(costs), best, last, (last - best) / size if size else 0.0)


def late_gain(seen: Seen, trial: Trial) -> Change | None:
    """What the metric won over the second half of the run. None for a run too short, and for one that never fell."""
    costs, fall = seen.costs_of(trial), _fall(seen, trial)
    if len(costs) < 2 or fall <= 0:
        return None
    before, after = _halfway(costs), costs[-1]
    gain = max(0.0, before - after)
    return Change(before, after, gain / _size(after, fall), gain / fall)


def late_rise(seen: Seen, trial: Trial) -> Change | None:
    """A rise between two steps after the first third of the run that a fifth of the steps there reach: the largest of a long run
    is a matter of luck. None for a run too short, and for one that never fell."""
    costs, fall = seen.costs_of(trial), _fall(seen, trial)
    late = costs[len(costs) // 3 :]
    if len(late) < 3 or fall <= 0:
        return None
    rises = sorted(((after - before, before, after) for before, after in pairwise(late)), reverse=True)
    rise, before, after = rises[max(1, round(OFTEN * len(rises))) - 1]
    return Change(before, after, max(0.0, rise) / _size(before, fall), max(0.0, rise) / fall)


def _fall(seen: Seen, trial: Trial) -> float:
    """From the start of a run to its best step."""
    costs, start = seen.costs_of(trial), seen.start(trial)
    return start - min(costs) if costs and start is not None else 0.0


def _size(value: float, fall: float) -> float:
    return max(abs(value), SMALLEST_SIZE * fall)


def _halfway(costs: Sequence[float]) -> float:
    """The cost after half of the steps, between two of them where their number is odd; at least the first."""
    place = max(0.0, len(costs) / 2 - 1)
    before = int(place)
    return costs[before] + (place - before) * (costs[min(before + 1, len(costs) - 1)] - costs[before])

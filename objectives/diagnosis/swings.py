"""Oscillation of a training loss: from step to step, or from update to update."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from operator import not_
from statistics import median

from objectives.diagnosis.curves import Step, noise_of, smooth, updates_of, without_spikes

TURNS = 3
"""An oscillation changes direction at least this often: up, down and up again. A spike has two turns."""
TURN_SHARE = 0.25
"""An oscillation within steps has at least this many turns per recorded update; slower waves come from a schedule."""
AROUND = 10
"""Recorded updates to each side of an update whose mean loss is the level that the update is compared with."""
TWO_LEVELS = 0.72
"""Losses have two levels if a split into high and low explains this share of their variance; for normal noise it is 0.64."""
STEP_LEVELS = 0.85
"""The same share for steps: higher, since a few values are often split well by chance."""
ABOVE_NOISE = 4.0
"""Steps also oscillate if high and low ones are this many standard deviations of a step's mean apart."""
SCHEDULED = 1.5
"""If the learning rate of the high steps is this many times that of the low ones, the schedule causes the oscillation."""


@dataclass(frozen=True)
class Swings:
    height: float = 0.0
    """Median high minus median low in the last half of the run, in units of the loss; 0: no oscillation."""
    turns: int = 0


def swings_of_steps(steps: Sequence[Step]) -> Swings:
    """Oscillation from step to step: the mean losses of steps alternate between high and low."""
    losses = [step.metrics["training_loss"] for step in steps]
    rises = [loss - level for loss, level in zip(losses, without_spikes(losses), strict=True)]
    half = len(rises) // 2
    cut, explained = _split(rises[half:])
    turns, high = _turns(rises, cut), [rise > cut for rise in rises[half:]]
    if turns < TURNS or len(set(high)) < 2:
        return Swings()
    rate_high, rate_low = _medians([step.learning_rate for step in steps[half:]], high)
    if rate_high >= SCHEDULED * rate_low:
        return Swings()
    height = _height(rises[half:], high)
    updates = [updates_of(step) for step in steps[half:]]
    noise = noise_of(updates) * median(losses[half:]) / math.sqrt(max(1.0, median(map(len, updates))))
    return Swings(height, turns) if explained >= STEP_LEVELS or height >= ABOVE_NOISE * noise else Swings()


def swings_of_updates(steps: Sequence[Step]) -> Swings:
    """Oscillation from update to update: losses alternate between two levels. Noise has one level, however strong it is."""
    losses = [loss for step in steps for loss in updates_of(step) if loss > 0]
    losses = losses[len(losses) // 2 :]
    logs = [math.log(loss) for loss in losses]
    rises = [value - level for value, level in zip(logs, smooth(logs, AROUND), strict=True)]
    cut, explained = _split(rises)
    turns, high = _turns(rises, cut), [rise > cut for rise in rises]
    if explained < TWO_LEVELS or turns < max(TURNS, TURN_SHARE * len(losses)):
        return Swings()
    return Swings(_height([loss - level for loss, level in zip(losses, smooth(losses, AROUND), strict=True)], high), turns)


def _height(values: Sequence[float], high: Sequence[bool]) -> float:
    above, below = _medians(values, high)
    return above - below


def _medians(values: Sequence[float], high: Sequence[bool]) -> tuple[float, float]:
    """The median of the high values, and of the low ones."""
    return median(compress(values, high)), median(compress(values, map(not_, high)))


def _turns(rises: Sequence[float], cut: float) -> int:
    """How often the values cross the cut."""
    return sum((a > cut) != (b > cut) for a, b in pairwise(rises))


def _split(values: Sequence[float]) -> tuple[float, float]:
    """The threshold that maximizes the variance between the two classes (Otsu 1979), and its share of the total variance."""
    ordered, total, below = sorted(values), sum(values), 0.0
    n = len(ordered)
    most, cut = 0.0, math.inf
    for i in range(1, n):
        below += ordered[i - 1]
        gap = (total - below) / (n - i) - below / i
        if (between := i * (n - i) / n * gap * gap) > most:
            most, cut = between, (ordered[i - 1] + ordered[i]) / 2
    deviations = [value - total / n for value in ordered]
    variance = sum(deviation * deviation for deviation in deviations)  # ** would raise OverflowError where this is inf
    return cut, most / variance if variance > 0 else 0.0

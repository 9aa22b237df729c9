"""Reads a run's curve: losses, learning rates, noise, and the curve without spikes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Protocol

SPIKE_STEPS = 3
"""A rise above the curve that lasts at most this many steps is a spike or an oscillation, and not part of the trend."""


class Step(Protocol):
    """The fields of a measurement that the diagnosis reads."""

    @property
    def step(self) -> int: ...
    @property
    def in_warmup(self) -> bool: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def update_losses(self) -> Sequence[tuple[int, float]]: ...


def metric(step: Step, name: str) -> float:
    """The metric's value; nan where it was not measured."""
    return step.metrics.get(name, math.nan)


def finite(steps: Iterable[Step], name: str) -> list[float]:
    """The finite values of a metric, in order."""
    return [value for step in steps if math.isfinite(value := metric(step, name))]


def updates_of(step: Step) -> list[float]:
    """The finite losses of the step's recorded updates, in order."""
    return [loss for _, loss in step.update_losses if math.isfinite(loss)]


def rates_of(steps: Sequence[Step]) -> list[float]:
    """The learning rate at the start of the run and at the end of each step, (n_steps + 1,); it starts at 0 in a warm-up."""
    rates = [step.learning_rate for step in steps]
    return [0.0 if steps[0].in_warmup else rates[0], *rates] if steps else []


def first_loss(steps: Sequence[Step]) -> float:
    """An estimate of the loss before the first update; 0: unknown. Neither a lucky first batch nor a fast fall makes it low."""
    firsts = updates_of(steps[0])[:3] if steps else []
    if firsts:
        return max(firsts[0], median(firsts))
    return next(iter(finite(steps, "training_loss")), 0.0)


def without_spikes(losses: Sequence[float]) -> list[float]:
    """The curve without rises of at most SPIKE_STEPS steps (its morphological opening). A falling curve stays as it is."""
    n, width = len(losses), SPIKE_STEPS + 1
    lows = [min(losses[max(0, end - width) : end]) for end in range(1, n + 1)]
    return [max(lows[i : i + width]) for i in range(n)]


def smooth(values: Sequence[float], reach: int | None = None) -> list[float]:
    """Centred moving average over `reach` values to each side; None: a tenth of all values."""
    n, reach = len(values), len(values) // 10 if reach is None else reach
    sums = [0.0, *accumulate(values)]
    windows = [(max(0, i - reach), min(n, i + reach + 1)) for i in range(n)]
    return [(sums[end] - sums[begin]) / (end - begin) for begin, end in windows]


def noise_of(curves: Iterable[Sequence[float]], *, straight: bool = False) -> float:
    """The relative standard deviation, estimated robustly from differences of neighbours.

    straight: use second differences, so that a linear trend does not count as noise.
    """
    differences = []
    for losses in curves:
        changes = [2 * (b - a) / (abs(a) + abs(b)) if a or b else 0.0 for a, b in pairwise(losses)]
        differences += [b - a for a, b in pairwise(changes)] if straight else changes
    return median(map(abs, differences)) / 0.6745 / math.sqrt(6 if straight else 2) if differences else 0.0

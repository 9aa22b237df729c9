"""The formulas that synthetic training runs are made of. `curve_construction` builds runs from them.

Losses fall along the integral of the learning rate (gradient flow: half the rate, half the speed) to a floor; above that lies a
noise floor in proportion to the rate (SGD at a constant rate hovers above the minimum). So schedules show in these curves as they
do in real ones: a slow start under warm-up, stairs under step decay, a fast last fall under cosine, a bump under one-cycle, waves
under warm restarts. Spikes, swings and blow-ups come on top.

All losses are in parts of the training loss before the first update; `Construction.scale` is that loss.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate in parts of its peak; `rates` takes times in parts of the run."""

    kind: str = "constant"
    """constant, cosine, linear, exponential, steps, one_cycle or restarts."""
    warmup: float = 0.0
    """The part of the run in which the rate rises linearly; the rest of the schedule follows."""
    last: float = 0.0
    """What cosine and linear end at, and exponential."""
    milestones: tuple[float, ...] = ()
    """When steps multiply the rate by `factor`."""
    factor: float = 0.1
    cycles: int = 1
    """How often restarts run through a cosine."""

    def rates(self, times: Array) -> Array:
        after = np.clip((times - self.warmup) / (1 - self.warmup), 0.0, 1.0)
        shares: dict[str, Callable[[], Array]] = {
            "constant": lambda: np.ones_like(times),
            "cosine": lambda: self.last + (1 - self.last) * _half_cosine(after),
            "linear": lambda: self.last + (1 - self.last) * (1 - after),
            "exponential": lambda: self.last**after,
            "steps": lambda: self.factor ** np.searchsorted(np.sort(self.milestones), times, side="right").astype(float),
            "one_cycle": lambda: np.where(times < 0.3, 1 - 0.95 * _half_cosine(times / 0.3), _half_cosine((times - 0.3) / 0.7)),
            "restarts": lambda: _half_cosine(np.where(times < 1, times * self.cycles % 1.0, 1.0)),
        }
        rising = np.minimum(1.0, times / self.warmup) if self.warmup else 1.0
        return np.asarray(shares[self.kind]() * rising, dtype=float)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A number that is `before` until about `at`, a part of the run, and then `after`; at=None: it moves all through the run."""

    before: float
    after: float
    at: float | None = 0.5

    def over(self, times: Array, *, logarithmic: bool) -> Array:
        share = times if self.at is None else 1 / (1 + np.exp(-np.clip((times - self.at) / 0.01, -50, 50)))
        if logarithmic:
            return np.asarray(self.before * (self.after / self.before) ** share, dtype=float)
        return np.asarray(self.before + (self.after - self.before) * share, dtype=float)


@dataclass(frozen=True, kw_only=True)
class Construction:
    """The parameters of a run. Steps count from 0."""

    steps: int
    per_step: int
    """Update losses that are recorded in a step."""
    every: int
    """Updates from one recorded loss to the next."""
    scale: float
    peak_rate: float
    schedule: Schedule

    shape: str = "exponential"
    """Of the fall: exponential, power, two_speeds, or breakthrough, which begins with a plateau."""
    speed: float = 8.0
    """Time constants of the fall in a run at the peak rate."""
    floor: float = 0.1
    heat: float = 0.0
    """The noise floor at the peak rate, once all has been learned."""
    transient: float = 0.0
    """What the very first updates take off the loss: a badly scaled last layer."""

    swing: float = 0.0
    """How far the loss swings up from its trend and back at the peak rate."""
    swings_of: str = "steps"
    """Whether step means swing, or losses within a step: steps or updates."""
    damping: float = 0.0
    """The part of the run in which swings sink to a third; 0: never."""
    spike_at: int | None = None
    spike: float = 0.0
    """The height of a spike; it is gone after three steps at the latest."""
    blown_at: int | None = None
    """The step in which the loss leaves its trend for good, for `blown_to`."""
    blown_to: float = 1.0
    ends: bool = False
    """Whether the run ends with that step, with its divergence as evidence."""

    gap: float = 0.1
    """The share by which validation loss exceeds the training loss."""
    offset: float = 0.0
    """What is added to validation loss as training learns."""
    overfits_from: float | None = None
    """The part of the run after which validation loss rises, by `rise` of its minimum at the end."""
    rise: float = 0.0
    bend: float = 1.0
    """The exponent of that rise in time."""
    bump: float = 0.0
    """The height of a passing rise of validation loss, as a share of it, in the middle of the run."""

    norm: float = 1.0
    """The gradient norm at the start."""
    norm_falls: float = 0.3
    """The power of the loss that the gradient norm follows."""
    growth: Change = Change(before=1.0, after=1.0)
    """A factor of the gradient norm."""
    burst: float = 2.0
    """The largest gradient norm of a step over its mean."""
    gradient_spikes: tuple[tuple[int, float], ...] = ()
    """(step, largest norm in it over the median norm of the run)."""
    clipped: Change = Change(before=0.0, after=0.0)
    flow: Change = Change(before=1.0, after=1.0)
    dead: Change = Change(before=0.0, after=0.0)

    noise: float = 0.01
    """Relative standard deviation of a step's training loss; those of single updates and of validation loss follow."""
    update_noise: float = 0.1
    validation_noise: float = 0.01


def _half_cosine(times: Array) -> Array:
    """From 1 at time 0 to 0 at time 1."""
    return np.asarray((1 + np.cos(np.pi * times)) / 2, dtype=float)

"""Training runs made of formulas: what each would measure without noise, and what is seen of it with noise.

Losses fall along the integral of the learning rate (gradient flow: half the rate, half the speed) to a floor, and above the floor
stands a noise floor in proportion to the rate (SGD at a constant rate hovers above the minimum). So schedules leave the marks
that they leave in real curves: a slow start under warm-up, stairs under step decay, a fast last fall under cosine, a bump under
one-cycle, waves under warm restarts. Spikes, swings and blow-ups come on top.

All losses are in parts of the training loss before the first update; `Construction.scale` is that loss.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectives.contract import Divergence, GroupRate, Measurement

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


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A run without noise: arrays with an item per recorded update or per step. `trend` has one more, for the end of the run."""

    made_of: Construction
    rates: Array
    trend: Array
    """The training loss without swings, spikes and blow-up."""
    swing_heights: Array
    """How far swings reach up from the trend, per update."""
    losses: Array
    """The training loss per update; may end in nan or inf."""
    next_run: float
    """What another run of the same length at the final learning rate would take off the trend."""
    validation: Array
    """Without swings and spikes, at the end of each step."""
    validation_seen: Array
    """With them."""
    norms: Array
    largest_norms: Array
    clipped: Array
    flow: Array
    dead: Array


def construct(made_of: Construction, rng: np.random.Generator) -> Truth:
    """The noise-free run; `rng` draws the irregularity of its swings."""
    run, n = made_of, made_of.steps * made_of.per_step
    times = np.arange(n + 1) / n
    rates = run.schedule.rates(times)
    travelled = np.concatenate([[0.0], np.cumsum(rates[:n]) / n])
    left = _left(run.shape, run.speed * travelled)
    trend = run.floor + (1 - run.floor) * left + run.heat * rates * (1 - left)
    left_later = _left(run.shape, run.speed * (travelled[-1:] + rates[-1]))[0]
    next_run = (1 - run.floor - run.heat * rates[-1]) * (left[-1] - left_later)

    heights = run.swing * rates[:n] * (np.exp(-times[:n] / run.damping) if run.damping else 1.0)
    swings = heights * (
        np.repeat(_up_and_down(run.steps, 2, rng), run.per_step) if run.swings_of == "steps" else _up_and_down(n, 4, rng)
    )
    disturbed = swings + _spike(run, n)
    losses = trend[:n] + disturbed + run.transient * np.exp(-12 * np.arange(n) / run.per_step)
    validation = _validation(run, trend, left)
    ends = np.arange(1, run.steps + 1) * run.per_step
    seen = validation + (disturbed[ends - 1] if run.swings_of == "steps" else 0.0)
    if run.blown_at is not None:
        losses, seen = _blow_up(run, losses, seen, rng)
    steps = run.blown_at + 1 if run.ends and run.blown_at is not None else run.steps

    step_times = (np.arange(run.steps) + 0.5) / run.steps
    bodies = (trend[:n] + disturbed).reshape(run.steps, -1).mean(1)
    norms = run.norm * bodies**run.norm_falls * run.growth.over(step_times, logarithmic=True)
    norms[0] *= math.sqrt(1 + run.transient)
    largest = run.burst * norms
    for step, height in run.gradient_spikes:
        largest[step] = max(largest[step], height * float(np.median(norms[:steps])))
        norms[step] += largest[step] / (run.per_step * run.every)
    return Truth(
        made_of=run,
        rates=rates[:n],
        trend=trend,
        swing_heights=heights,
        losses=losses[: steps * run.per_step],
        next_run=float(next_run),
        validation=validation[:steps],
        validation_seen=seen[:steps],
        norms=norms[:steps],
        largest_norms=largest[:steps],
        clipped=run.clipped.over(step_times, logarithmic=False)[:steps],
        flow=run.flow.over(step_times, logarithmic=True)[:steps],
        dead=run.dead.over(step_times, logarithmic=False)[:steps],
    )


def measure(truth: Truth, rng: np.random.Generator) -> Iterator[Measurement]:
    """What is seen of the run: its measurements, with noise."""
    run = truth.made_of
    update_to_weight = 10 ** rng.uniform(-4, -2)
    speed, wobble = 10 ** rng.uniform(2, 5), rng.uniform(0.05, 0.25)
    for step, clean in enumerate(truth.losses.reshape(-1, run.per_step)):
        first = step * run.per_step
        loss = run.scale * clean.mean() * _factors(rng, run.noise)
        recorded = run.scale * clean * _factors(rng, run.update_noise, run.per_step)
        if math.isfinite(loss):  # the mean of those recorded is nearly that of all
            recorded *= loss / recorded.mean() * _factors(rng, run.update_noise / (4 * math.sqrt(run.per_step)))
        validation = run.scale * truth.validation_seen[step] * _factors(rng, run.validation_noise)
        norm = truth.norms[step] * _factors(rng, wobble)
        lost = float(clean[-1]) if not math.isfinite(loss) else 1.0  # nan and inf spread to all that is computed from weights
        rate = run.peak_rate * float(truth.rates[first + run.per_step - 1])
        clipped = truth.clipped[step]
        fraction = (step + 1) / run.steps
        seconds = run.per_step * run.every / speed * _factors(rng, 0.05)
        yield Measurement(
            step=step + 1,
            fraction=fraction,
            in_warmup=fraction <= run.schedule.warmup,
            metrics={
                "training_loss": float(loss),
                "validation_loss": float(validation),
                "generalization_gap": float(validation - loss) if math.isfinite(loss) else math.nan,
                "gradient_norm": float(norm * lost),
                "gradient_norm_max": float(max(norm, truth.largest_norms[step] * _factors(rng, wobble)) * lost),
                "clipped_share": float(np.clip(clipped + 0.03 * rng.standard_normal() * (clipped > 0), 0, 1)),
                "update_to_weight_ratio": float(
                    update_to_weight * truth.rates[first + run.per_step - 1] * _factors(rng, wobble) * lost
                ),
                "gradient_flow": float(truth.flow[step] * _factors(rng, wobble) * lost),
                "dead_units": float(np.clip(truth.dead[step] + 0.01 * rng.standard_normal(), 0, 1)),
                "samples_per_second": float(32 * run.per_step * run.every / seconds),
            },
            learning_rate=rate,
            seconds=float(seconds),
            divergence=_divergence(truth, step, float(loss)),
            group_rates=(GroupRate(group="all", learning_rate=rate, momentum=0.9),),
            update_losses=tuple((1 + (first + i) * run.every, float(value)) for i, value in enumerate(recorded)),
        )


def _half_cosine(times: Array) -> Array:
    """From 1 at time 0 to 0 at time 1."""
    return np.asarray((1 + np.cos(np.pi * times)) / 2, dtype=float)


def _left(shape: str, times: Array) -> Array:
    """The part that is still to be learned: 1 at time 0, 0 at last."""
    shapes: dict[str, Callable[[], Array]] = {
        "exponential": lambda: np.exp(-times),
        "power": lambda: (1 + times) ** -0.8,
        "two_speeds": lambda: 0.7 * np.exp(-3 * times) + 0.3 * np.exp(-times / 2),
        "breakthrough": lambda: (1 + math.exp(-5)) / (1 + np.exp(np.minimum(times - 5, 50))),
    }
    return np.asarray(shapes[shape](), dtype=float)


def _up_and_down(n: int, hold: int, rng: np.random.Generator) -> Array:
    """n heights that are by turns near 0 and near 1, each for 1 to `hold` places."""
    holds = rng.integers(1, hold + 1, n)
    up = np.repeat(np.arange(n) % 2, holds)[:n]
    return np.where(up == 1, rng.uniform(0.8, 1.2, n), rng.uniform(0.0, 0.1, n))


def _spike(run: Construction, n: int) -> Array:
    spike = np.zeros(n)
    if run.spike_at is not None:
        first, last = run.spike_at * run.per_step, min(n, (run.spike_at + 3) * run.per_step)
        spike[first:last] = run.spike * np.exp(-2 * np.arange(last - first) / run.per_step)
    return spike


def _blow_up(run: Construction, losses: Array, validation: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """From a place in step `blown_at` on the loss rises by equal factors to `blown_to`, or is that where it is nan or inf."""
    assert run.blown_at is not None
    first = run.blown_at * run.per_step
    losses, validation = losses.copy(), validation.copy()
    if math.isfinite(run.blown_to):
        rising = max(1, int(rng.uniform(0.2, 0.6) * run.per_step))
        shares = np.minimum(1, np.arange(1, len(losses) - first + 1) / rising)
        losses[first:] **= 1 - shares
        losses[first:] *= run.blown_to**shares
        validation[run.blown_at :] = losses[-1] * (1 + run.gap)
    else:
        place = int(rng.integers(0, run.per_step))
        losses[first : first + place] *= np.geomspace(1, 10 ** rng.uniform(0, 6), max(place, 1))[:place]
        losses[first + place :] = run.blown_to
        validation[run.blown_at :] = run.blown_to
    return losses, validation


def _validation(run: Construction, trend: Array, left: Array) -> Array:
    ends = np.arange(1, run.steps + 1) * run.per_step
    times = np.arange(1, run.steps + 1) / run.steps
    validation = trend[ends] * (1 + run.gap) + run.offset * (1 - left[ends])
    if run.overfits_from is not None:
        lowest = validation[max(0, math.ceil(run.overfits_from * run.steps) - 1)]
        since = np.maximum(0.0, (times - run.overfits_from) / (1 - run.overfits_from))
        validation = np.where(since > 0, lowest * (1 + run.rise * since**run.bend), validation)
    return np.asarray(validation * (1 + run.bump * np.exp(-(((times - 0.5) / 0.12) ** 2))), dtype=float)


def _factors(rng: np.random.Generator, deviation: float, n: int | None = None) -> Array:
    """Log-normal factors whose mean is 1."""
    return np.asarray(np.exp(deviation * rng.standard_normal(n) - deviation**2 / 2), dtype=float)


def _divergence(truth: Truth, step: int, loss: float) -> Divergence | None:
    run = truth.made_of
    if not run.ends or step != run.blown_at:
        return None
    if math.isfinite(loss):
        reason = f"mean training loss was {loss:.3g} in step {step + 1}, {loss / run.scale:.3g} times the first"
    else:
        reason = f"training loss became {run.blown_to} in step {step + 1}"
    return Divergence(reason=reason, update=(step + 1) * run.per_step * run.every, fraction=(step + 1) / run.steps)

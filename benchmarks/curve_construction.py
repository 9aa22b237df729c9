"""Builds a training run from its parts: what it would measure without noise, and what is observed with noise."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.curve_shapes import Array, Construction
from objectives.contract import Divergence, GroupRate, Measurement


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

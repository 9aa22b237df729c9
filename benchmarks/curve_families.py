"""Families of training runs: usual and unusual runs, each drawn with a random generator.

Their names say what they are meant to show; the true verdicts on a run follow from its construction
(benchmarks/curve_generator.py).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.curve_draws import FALLING_SPEEDS, a_schedule, between, held, level, n_steps, settled
from benchmarks.curve_shapes import Change, Construction, Schedule

Draw = Callable[[np.random.Generator], Construction]

FAINTEST = 1e-4
"""The largest gradient flow that has vanished; twice that has not."""


def _either(rng: np.random.Generator, **chosen: Any) -> Construction:
    """A run that settles low, one that is stuck, or one that goes on falling."""
    return (settled, _stuck, _still_falling)[rng.integers(3)](rng, **chosen)


# Runs that learn


def _high_floor(rng: np.random.Generator) -> Construction:
    speed, schedule = between(rng, 4, 15), a_schedule(rng)
    noise = rng.uniform(0.03, 0.1)
    return settled(rng, floor=rng.uniform(0.5, 0.6), shape="exponential", speed=speed, schedule=schedule, update_noise=noise)


def _noisy(rng: np.random.Generator) -> Construction:
    steps = round(between(rng, 30, 200))
    noise = rng.uniform(0.03, 0.08)
    update_noise = rng.uniform(0.2, 0.4)
    return settled(rng, steps=steps, floor=rng.uniform(0.02, 0.2), noise=noise, update_noise=update_noise)


def _stairs(rng: np.random.Generator) -> Construction:
    speed = between(rng, 1, 20)
    return settled(rng, schedule=a_schedule(rng, "steps"), shape="exponential", speed=speed, heat=rng.uniform(0.05, 0.3))


def _one_cycle(rng: np.random.Generator) -> Construction:
    return settled(rng, schedule=a_schedule(rng, "one_cycle"), heat=rng.uniform(0.05, 0.35))


def _restarts(rng: np.random.Generator) -> Construction:
    return settled(rng, schedule=a_schedule(rng, "restarts"), heat=rng.uniform(0.03, 0.14))


def _slow_start(rng: np.random.Generator) -> Construction:
    if rng.random() < 0.5:
        schedule = Schedule(kind=rng.choice(["constant", "cosine"]), warmup=rng.uniform(0.2, 0.45))
        return settled(rng, schedule=schedule)
    return settled(rng, shape="breakthrough", speed=between(rng, 6, 25))


def _high_start(rng: np.random.Generator) -> Construction:
    return settled(rng, transient=between(rng, 10, 1000), floor=rng.uniform(0.05, 0.5))


def _still_falling(rng: np.random.Generator, **chosen: Any) -> Construction:
    shape = rng.choice(list(FALLING_SPEEDS))
    drawn = {"shape": shape, "speed": between(rng, *FALLING_SPEEDS[shape]), "schedule": held(rng)}
    return settled(rng, **(drawn | chosen))


def _hardly_begun(rng: np.random.Generator) -> Construction:
    return _still_falling(rng, shape="exponential", speed=between(rng, 0.2, 1.0))


def _memorizing(rng: np.random.Generator) -> Construction:
    """Training loss falls on, and validation loss does not follow."""
    floor, gap = rng.uniform(0.0, 0.2), rng.uniform(-0.05, 0.3)
    follows = rng.uniform(0.0, 0.02)
    offset = (1 + gap) * (1 - floor) * (1 - follows)
    return _still_falling(rng, shape="exponential", speed=between(rng, 0.2, 1.0), floor=floor, gap=gap, heat=0.0, offset=offset)


# Runs that do not


def _stuck(rng: np.random.Generator, **chosen: Any) -> Construction:
    return settled(rng, **({"floor": rng.uniform(0.8, 1.0), "heat": 0.0} | chosen))


def _never_learned(rng: np.random.Generator) -> Construction:
    if rng.random() < 0.4:
        return _still_falling(rng, shape="exponential", speed=between(rng, 0.001, 0.06))
    return _stuck(rng, floor=rng.uniform(0.97, 1.0))


def _raised(rng: np.random.Generator) -> Construction:
    steps = n_steps(rng)
    return settled(rng, steps=steps, blown_at=int(rng.integers(1, 1 + 2 * steps // 5)), blown_to=rng.uniform(1.02, 2.0))


def _not_finite(rng: np.random.Generator) -> Construction:
    steps = n_steps(rng)
    ends = rng.random() < 0.6
    return _either(
        rng, steps=steps, blown_at=int(rng.integers(steps)), blown_to=float(rng.choice([math.nan, math.inf])), ends=ends
    )


def _blown_up(rng: np.random.Generator) -> Construction:
    steps = n_steps(rng)
    at = int(rng.integers(steps))
    growth = Change(before=1.0, after=between(rng, 1, 1e6), at=(at + 0.5) / steps)
    to = between(rng, 4, 1000)
    return _either(rng, steps=steps, blown_at=at, blown_to=to, ends=bool(rng.random() < 0.5), growth=growth)


def _loss_spike(rng: np.random.Generator) -> Construction:
    steps = n_steps(rng)
    at = int(rng.integers(1, steps - 3))
    spikes = ((at, between(rng, 5, 1000)),) if rng.random() < 0.5 else ()
    chosen = {"steps": steps, "spike_at": at, "spike": between(rng, 0.3, 30), "gradient_spikes": spikes}
    return _either(rng, **chosen)


# Oscillation


def _bouncing(rng: np.random.Generator) -> Construction:
    return settled(rng, schedule=held(rng), swing=between(rng, 0.2, 1.5))


def _sloshing(rng: np.random.Generator) -> Construction:
    swing, floor = between(rng, 0.25, 1.5), rng.uniform(0.02, 0.3)
    noise = min(0.2, swing / (4 * floor)) * rng.uniform(0.3, 1.0)
    return settled(rng, schedule=held(rng), swing=swing, swings_of="updates", floor=floor, update_noise=noise)


def _bouncing_high(rng: np.random.Generator) -> Construction:
    return settled(rng, schedule=held(rng), swing=between(rng, 0.15, 1.0), floor=rng.uniform(0.8, 1.2), heat=0.0)


def _settling_swings(rng: np.random.Generator) -> Construction:
    if rng.random() < 0.5:
        return settled(rng, swing=between(rng, 0.1, 1.0), damping=rng.uniform(0.03, 0.2))
    return settled(rng, swing=between(rng, 0.1, 0.7), schedule=a_schedule(rng, "cosine", "one_cycle"))


# Validation loss


def _overfitting(rng: np.random.Generator) -> Construction:
    start, rise = rng.uniform(0.1, 0.75), between(rng, 0.1, 1.5)
    slow = {"shape": "exponential", "speed": between(rng, 2, 15), "floor": rng.uniform(0.0, 0.1)}
    chosen = slow if rng.random() < 0.7 else {}
    return settled(rng, overfits_from=start, rise=rise, bend=rng.uniform(0.6, 1.6), offset=rng.uniform(0.0, 0.3), **chosen)


def _overfitting_while_falling(rng: np.random.Generator) -> Construction:
    return _still_falling(rng, overfits_from=rng.uniform(0.2, 0.7), rise=between(rng, 0.1, 1.0), offset=rng.uniform(0.0, 0.3))


def _rising_slightly(rng: np.random.Generator) -> Construction:
    return settled(rng, overfits_from=rng.uniform(0.2, 0.7), rise=rng.uniform(0.0, 0.05))


def _validation_bump(rng: np.random.Generator) -> Construction:
    return settled(rng, bump=rng.uniform(0.1, 0.6))


def _validation_noise(rng: np.random.Generator) -> Construction:
    steps = n_steps(rng)
    return settled(rng, steps=steps, validation_noise=min(0.06, 0.01 * math.sqrt(steps)) * rng.uniform(0.5, 1.0))


def _gap(rng: np.random.Generator) -> Construction:
    return settled(rng, gap=rng.uniform(0.3, 2.0), offset=rng.uniform(0.0, 0.5))


# Gradients and units


def _growing_gradients(rng: np.random.Generator) -> Construction:
    at = rng.uniform(0.2, 0.7) if rng.random() < 0.5 else None
    return _either(rng, growth=Change(before=1.0, after=between(rng, 30, 1e6), at=at))


def _gradient_spikes(rng: np.random.Generator) -> Construction:
    steps = n_steps(rng)
    places = rng.choice(np.arange(1, steps), rng.integers(1, 4), replace=False)
    return _either(rng, steps=steps, gradient_spikes=tuple((int(step), between(rng, 100, 1e5)) for step in places))


def _clipped(rng: np.random.Generator) -> Construction:
    return _either(rng, clipped=Change(before=rng.uniform(0.5, 1.0), after=rng.uniform(0.9, 1.0), at=rng.uniform(0.1, 0.5)))


def _large_gradients(rng: np.random.Generator) -> Construction:
    steps = n_steps(rng)
    spikes = ((int(rng.integers(1, steps)), between(rng, 10, 50)),) if rng.random() < 0.5 else ()
    return _either(
        rng,
        steps=steps,
        norm=between(rng, 100, 1e5),
        growth=Change(before=1.0, after=between(rng, 1, 15), at=None),
        gradient_spikes=spikes,
        clipped=Change(before=rng.uniform(0.0, 1.0), after=rng.uniform(0.0, 0.6), at=rng.uniform(0.1, 0.4)),
    )


def _vanishing(rng: np.random.Generator) -> Construction:
    flow = Change(before=between(rng, 1e-8, 1), after=between(rng, 1e-9, FAINTEST), at=rng.uniform(0.05, 0.35))
    return _stuck(rng, flow=flow, floor=rng.uniform(0.9, 1.0))


def _vanishing_yet_learning(rng: np.random.Generator) -> Construction:
    return _either(rng, flow=level(between(rng, 1e-8, FAINTEST)))


def _thin_flow(rng: np.random.Generator) -> Construction:
    low = between(rng, 2 * FAINTEST, 1e-2)
    early = Change(before=between(rng, 1e-7, 1e-3), after=between(rng, 2 * FAINTEST, 1), at=rng.uniform(0.05, 0.28))
    return _either(rng, flow=level(low) if rng.random() < 0.5 else early)


def _dead(rng: np.random.Generator) -> Construction:
    dead = Change(before=rng.uniform(0.0, 0.6), after=rng.uniform(0.5, 1.0), at=rng.uniform(0.05, 0.7))
    return _either(rng, dead=dead)


def _some_dead(rng: np.random.Generator) -> Construction:
    return _either(rng, dead=Change(before=rng.uniform(0.0, 0.6), after=rng.uniform(0.1, 0.35), at=rng.uniform(0.05, 0.6)))


def _died(rng: np.random.Generator) -> Construction:
    """A step too large, after which most units are dead and the network guesses."""
    steps = n_steps(rng)
    at = int(rng.integers(1, 1 + 2 * steps // 5))
    place = (at + 0.5) / steps
    return settled(
        rng,
        steps=steps,
        blown_at=at,
        blown_to=rng.uniform(0.95, 1.3),
        dead=Change(before=rng.uniform(0.0, 0.3), after=rng.uniform(0.5, 1.0), at=place),
        growth=Change(before=1.0, after=between(rng, 0.01, 1), at=place),
        gradient_spikes=((at, between(rng, 20, 1e4)),),
    )


FAMILIES: Mapping[str, Draw] = {
    "settled": settled,
    "high floor": _high_floor,
    "noisy": _noisy,
    "stairs": _stairs,
    "one-cycle": _one_cycle,
    "restarts": _restarts,
    "slow start": _slow_start,
    "high start": _high_start,
    "still falling": _still_falling,
    "hardly begun": _hardly_begun,
    "memorizing": _memorizing,
    "stuck": _stuck,
    "never learned": _never_learned,
    "raised": _raised,
    "not finite": _not_finite,
    "blown up": _blown_up,
    "loss spike": _loss_spike,
    "bouncing": _bouncing,
    "sloshing": _sloshing,
    "bouncing high": _bouncing_high,
    "settling swings": _settling_swings,
    "overfitting": _overfitting,
    "overfitting while falling": _overfitting_while_falling,
    "rising slightly": _rising_slightly,
    "validation bump": _validation_bump,
    "validation noise": _validation_noise,
    "gap": _gap,
    "growing gradients": _growing_gradients,
    "gradient spikes": _gradient_spikes,
    "clipped": _clipped,
    "large gradients": _large_gradients,
    "vanishing": _vanishing,
    "vanishing yet learning": _vanishing_yet_learning,
    "thin flow": _thin_flow,
    "dead": _dead,
    "some dead": _some_dead,
    "died": _died,
}

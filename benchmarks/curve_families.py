"""Families of training runs: what usual and unusual runs are made of, each drawn with a generator.

Their names say what they are meant to show; what is true of a run is read from its construction (benchmarks/curve_generator.py).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.curve_shapes import Change, Construction, Schedule

Draw = Callable[[np.random.Generator], Construction]

SETTLING_SPEEDS = {"exponential": (4, 40), "power": (20, 1000), "two_speeds": (5, 60), "breakthrough": (8, 40)}
"""By shape, the speeds of a run that comes to an end; under a rate that sinks, in part of the run."""
FALLING_SPEEDS = {"exponential": (0.1, 2.5), "power": (0.2, 20), "two_speeds": (0.1, 5), "breakthrough": (4, 8)}
FAINTEST = 1e-4
"""The largest gradient flow that has vanished; twice that has not."""


def _plain(rng: np.random.Generator, **chosen: Any) -> Construction:
    """A run that learns and settles, under any schedule, but for what is chosen."""
    steps = chosen.get("steps") or _steps(rng)
    noise = min(0.03, 0.005 * math.sqrt(steps))
    shape = chosen.get("shape") or rng.choice(list(SETTLING_SPEEDS))
    drawn = {
        "steps": steps,
        "per_step": int(rng.integers(5, min(50, 1000 // steps) + 1)),
        "every": int(_between(rng, 1, 40)),
        "scale": math.log(rng.choice([2, 10, 100, 1000])) if rng.random() < 0.5 else _between(rng, 1e-3, 1e3),
        "peak_rate": _between(rng, 1e-5, 1.0),
        "schedule": _schedule(rng),
        "shape": shape,
        "speed": _between(rng, *SETTLING_SPEEDS[shape]),
        "floor": rng.uniform(0.01, 0.4),
        "heat": rng.choice([0.0, rng.uniform(0.0, 0.1)]),
        "gap": rng.uniform(-0.05, 0.3),
        "norm": _between(rng, 0.01, 100),
        "norm_falls": rng.uniform(0.0, 0.5),
        "burst": rng.uniform(1.5, 5),
        "flow": _level(_between(rng, 1e-2, 10)),
        "dead": _level(max(0.0, rng.uniform(-0.1, 0.2))),
        "noise": _between(rng, 0.002, noise),
        "update_noise": _between(rng, 0.03, 0.2),
        "validation_noise": _between(rng, 0.002, noise),
    }
    return Construction(**(drawn | chosen))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform."""
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def _steps(rng: np.random.Generator) -> int:
    return round(_between(rng, 6, 200))


def _level(value: float) -> Change:
    return Change(before=value, after=value)


def _schedule(rng: np.random.Generator, *kinds: str) -> Schedule:
    kind = rng.choice(kinds or ("constant", "cosine", "linear", "exponential", "steps", "one_cycle"))
    return Schedule(
        kind=kind,
        warmup=rng.uniform(0.03, 0.2) if kind in ("constant", "cosine", "linear") and rng.random() < 0.4 else 0.0,
        last=_between(rng, 0.005, 0.3) if kind == "exponential" else rng.choice([0.0, rng.uniform(0.0, 0.1)]),
        milestones=tuple(rng.uniform(0.25, 0.85, rng.integers(1, 4))),
        factor=rng.uniform(0.1, 0.5),
        cycles=int(rng.integers(2, 6)),
    )


def _held(rng: np.random.Generator) -> Schedule:
    """A rate that is still high at the end."""
    kind = rng.choice(["constant", "linear", "exponential"])
    warmup = rng.uniform(0.03, 0.2) if rng.random() < 0.4 else 0.0
    return Schedule(kind=kind, last=rng.uniform(0.4, 0.9), warmup=warmup)


def _either(rng: np.random.Generator, **chosen: Any) -> Construction:
    """A run that settles low, one that is stuck, or one that goes on falling."""
    return (_plain, _stuck, _still_falling)[rng.integers(3)](rng, **chosen)


# Runs that learn


def _high_floor(rng: np.random.Generator) -> Construction:
    speed, schedule = _between(rng, 4, 15), _schedule(rng)
    noise = rng.uniform(0.03, 0.1)
    return _plain(rng, floor=rng.uniform(0.5, 0.6), shape="exponential", speed=speed, schedule=schedule, update_noise=noise)


def _noisy(rng: np.random.Generator) -> Construction:
    steps = round(_between(rng, 30, 200))
    noise = rng.uniform(0.03, 0.08)
    update_noise = rng.uniform(0.2, 0.4)
    return _plain(rng, steps=steps, floor=rng.uniform(0.02, 0.2), noise=noise, update_noise=update_noise)


def _stairs(rng: np.random.Generator) -> Construction:
    speed = _between(rng, 1, 20)
    return _plain(rng, schedule=_schedule(rng, "steps"), shape="exponential", speed=speed, heat=rng.uniform(0.05, 0.3))


def _one_cycle(rng: np.random.Generator) -> Construction:
    return _plain(rng, schedule=_schedule(rng, "one_cycle"), heat=rng.uniform(0.05, 0.35))


def _restarts(rng: np.random.Generator) -> Construction:
    return _plain(rng, schedule=_schedule(rng, "restarts"), heat=rng.uniform(0.03, 0.14))


def _slow_start(rng: np.random.Generator) -> Construction:
    if rng.random() < 0.5:
        schedule = Schedule(kind=rng.choice(["constant", "cosine"]), warmup=rng.uniform(0.2, 0.45))
        return _plain(rng, schedule=schedule)
    return _plain(rng, shape="breakthrough", speed=_between(rng, 6, 25))


def _high_start(rng: np.random.Generator) -> Construction:
    return _plain(rng, transient=_between(rng, 10, 1000), floor=rng.uniform(0.05, 0.5))


def _still_falling(rng: np.random.Generator, **chosen: Any) -> Construction:
    shape = rng.choice(list(FALLING_SPEEDS))
    drawn = {"shape": shape, "speed": _between(rng, *FALLING_SPEEDS[shape]), "schedule": _held(rng)}
    return _plain(rng, **(drawn | chosen))


# Runs that do not


def _stuck(rng: np.random.Generator, **chosen: Any) -> Construction:
    return _plain(rng, **({"floor": rng.uniform(0.8, 1.0), "heat": 0.0} | chosen))


def _never_learned(rng: np.random.Generator) -> Construction:
    if rng.random() < 0.4:
        return _still_falling(rng, shape="exponential", speed=_between(rng, 0.001, 0.06))
    return _stuck(rng, floor=rng.uniform(0.97, 1.0))


def _raised(rng: np.random.Generator) -> Construction:
    steps = _steps(rng)
    return _plain(rng, steps=steps, blown_at=int(rng.integers(1, 1 + 2 * steps // 5)), blown_to=rng.uniform(1.02, 2.0))


def _not_finite(rng: np.random.Generator) -> Construction:
    steps = _steps(rng)
    ends = rng.random() < 0.6
    return _either(
        rng, steps=steps, blown_at=int(rng.integers(steps)), blown_to=float(rng.choice([math.nan, math.inf])), ends=ends
    )


def _blown_up(rng: np.random.Generator) -> Construction:
    steps = _steps(rng)
    at = int(rng.integers(steps))
    growth = Change(before=1.0, after=_between(rng, 1, 1e6), at=(at + 0.5) / steps)
    to = _between(rng, 4, 1000)
    return _either(rng, steps=steps, blown_at=at, blown_to=to, ends=bool(rng.random() < 0.5), growth=growth)


def _loss_spike(rng: np.random.Generator) -> Construction:
    steps = _steps(rng)
    at = int(rng.integers(1, steps - 3))
    spikes = ((at, _between(rng, 5, 1000)),) if rng.random() < 0.5 else ()
    chosen = {"steps": steps, "spike_at": at, "spike": _between(rng, 0.3, 30), "gradient_spikes": spikes}
    return _either(rng, **chosen)


# Oscillation


def _bouncing(rng: np.random.Generator) -> Construction:
    return _plain(rng, schedule=_held(rng), swing=_between(rng, 0.2, 1.5))


def _sloshing(rng: np.random.Generator) -> Construction:
    swing, floor = _between(rng, 0.25, 1.5), rng.uniform(0.02, 0.3)
    noise = min(0.2, swing / (4 * floor)) * rng.uniform(0.3, 1.0)
    return _plain(rng, schedule=_held(rng), swing=swing, swings_of="updates", floor=floor, update_noise=noise)


def _bouncing_high(rng: np.random.Generator) -> Construction:
    return _plain(rng, schedule=_held(rng), swing=_between(rng, 0.15, 1.0), floor=rng.uniform(0.8, 1.2), heat=0.0)


def _settling_swings(rng: np.random.Generator) -> Construction:
    if rng.random() < 0.5:
        return _plain(rng, swing=_between(rng, 0.1, 1.0), damping=rng.uniform(0.03, 0.2))
    return _plain(rng, swing=_between(rng, 0.1, 0.7), schedule=_schedule(rng, "cosine", "one_cycle"))


# Validation loss


def _overfitting(rng: np.random.Generator) -> Construction:
    start, rise = rng.uniform(0.1, 0.75), _between(rng, 0.1, 1.5)
    slow = {"shape": "exponential", "speed": _between(rng, 2, 15), "floor": rng.uniform(0.0, 0.1)}
    chosen = slow if rng.random() < 0.7 else {}
    return _plain(rng, overfits_from=start, rise=rise, bend=rng.uniform(0.6, 1.6), offset=rng.uniform(0.0, 0.3), **chosen)


def _overfitting_while_falling(rng: np.random.Generator) -> Construction:
    return _still_falling(rng, overfits_from=rng.uniform(0.2, 0.7), rise=_between(rng, 0.1, 1.0), offset=rng.uniform(0.0, 0.3))


def _rising_slightly(rng: np.random.Generator) -> Construction:
    return _plain(rng, overfits_from=rng.uniform(0.2, 0.7), rise=rng.uniform(0.0, 0.05))


def _validation_bump(rng: np.random.Generator) -> Construction:
    return _plain(rng, bump=rng.uniform(0.1, 0.6))


def _validation_noise(rng: np.random.Generator) -> Construction:
    steps = _steps(rng)
    return _plain(rng, steps=steps, validation_noise=min(0.06, 0.01 * math.sqrt(steps)) * rng.uniform(0.5, 1.0))


def _gap(rng: np.random.Generator) -> Construction:
    return _plain(rng, gap=rng.uniform(0.3, 2.0), offset=rng.uniform(0.0, 0.5))


# Gradients and units


def _growing_gradients(rng: np.random.Generator) -> Construction:
    at = rng.uniform(0.2, 0.7) if rng.random() < 0.5 else None
    return _either(rng, growth=Change(before=1.0, after=_between(rng, 30, 1e6), at=at))


def _gradient_spikes(rng: np.random.Generator) -> Construction:
    steps = _steps(rng)
    places = rng.choice(np.arange(1, steps), rng.integers(1, 4), replace=False)
    return _either(rng, steps=steps, gradient_spikes=tuple((int(step), _between(rng, 100, 1e5)) for step in places))


def _clipped(rng: np.random.Generator) -> Construction:
    return _either(rng, clipped=Change(before=rng.uniform(0.5, 1.0), after=rng.uniform(0.9, 1.0), at=rng.uniform(0.1, 0.5)))


def _large_gradients(rng: np.random.Generator) -> Construction:
    steps = _steps(rng)
    spikes = ((int(rng.integers(1, steps)), _between(rng, 10, 50)),) if rng.random() < 0.5 else ()
    return _either(
        rng,
        steps=steps,
        norm=_between(rng, 100, 1e5),
        growth=Change(before=1.0, after=_between(rng, 1, 15), at=None),
        gradient_spikes=spikes,
        clipped=Change(before=rng.uniform(0.0, 1.0), after=rng.uniform(0.0, 0.6), at=rng.uniform(0.1, 0.4)),
    )


def _vanishing(rng: np.random.Generator) -> Construction:
    flow = Change(before=_between(rng, 1e-8, 1), after=_between(rng, 1e-9, FAINTEST), at=rng.uniform(0.05, 0.35))
    return _stuck(rng, flow=flow, floor=rng.uniform(0.9, 1.0))


def _vanishing_yet_learning(rng: np.random.Generator) -> Construction:
    return _either(rng, flow=_level(_between(rng, 1e-8, FAINTEST)))


def _thin_flow(rng: np.random.Generator) -> Construction:
    low = _between(rng, 2 * FAINTEST, 1e-2)
    early = Change(before=_between(rng, 1e-7, 1e-3), after=_between(rng, 2 * FAINTEST, 1), at=rng.uniform(0.05, 0.28))
    return _either(rng, flow=_level(low) if rng.random() < 0.5 else early)


def _dead(rng: np.random.Generator) -> Construction:
    dead = Change(before=rng.uniform(0.0, 0.6), after=rng.uniform(0.5, 1.0), at=rng.uniform(0.05, 0.7))
    return _either(rng, dead=dead)


def _some_dead(rng: np.random.Generator) -> Construction:
    return _either(rng, dead=Change(before=rng.uniform(0.0, 0.6), after=rng.uniform(0.1, 0.35), at=rng.uniform(0.05, 0.6)))


def _died(rng: np.random.Generator) -> Construction:
    """A step too large, after which most units are dead and the network guesses."""
    steps = _steps(rng)
    at = int(rng.integers(1, 1 + 2 * steps // 5))
    place = (at + 0.5) / steps
    return _plain(
        rng,
        steps=steps,
        blown_at=at,
        blown_to=rng.uniform(0.95, 1.3),
        dead=Change(before=rng.uniform(0.0, 0.3), after=rng.uniform(0.5, 1.0), at=place),
        growth=Change(before=1.0, after=_between(rng, 0.01, 1), at=place),
        gradient_spikes=((at, _between(rng, 20, 1e4)),),
    )


FAMILIES: Mapping[str, Draw] = {
    "settled": _plain,
    "high floor": _high_floor,
    "noisy": _noisy,
    "stairs": _stairs,
    "one-cycle": _one_cycle,
    "restarts": _restarts,
    "slow start": _slow_start,
    "high start": _high_start,
    "still falling": _still_falling,
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

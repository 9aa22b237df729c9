"""What the families of training runs share: random numbers, schedules, and a run that converges."""

import math
from typing import Any

import numpy as np

from benchmarks.curve_shapes import Change, Construction, Schedule

SETTLING_SPEEDS = {"exponential": (4, 40), "power": (20, 1000), "two_speeds": (5, 60), "breakthrough": (8, 40)}
"""By shape, the speeds of a run that comes to an end; under a rate that sinks, in part of the run."""
FALLING_SPEEDS = {"exponential": (0.1, 2.5), "power": (0.2, 20), "two_speeds": (0.1, 5), "breakthrough": (4, 8)}


def settled(rng: np.random.Generator, **chosen: Any) -> Construction:
    """A run that learns and settles, under any schedule, but for what is chosen."""
    steps = chosen.get("steps") or n_steps(rng)
    noise = min(0.03, 0.005 * math.sqrt(steps))
    shape = chosen.get("shape") or rng.choice(list(SETTLING_SPEEDS))
    drawn = {
        "steps": steps,
        "per_step": int(rng.integers(5, min(50, 1000 // steps) + 1)),
        "every": int(between(rng, 1, 40)),
        "scale": math.log(rng.choice([2, 10, 100, 1000])) if rng.random() < 0.5 else between(rng, 1e-3, 1e3),
        "peak_rate": between(rng, 1e-5, 1.0),
        "schedule": a_schedule(rng),
        "shape": shape,
        "speed": between(rng, *SETTLING_SPEEDS[shape]),
        "floor": rng.uniform(0.01, 0.4),
        "heat": rng.choice([0.0, rng.uniform(0.0, 0.1)]),
        "gap": rng.uniform(-0.05, 0.3),
        "norm": between(rng, 0.01, 100),
        "norm_falls": rng.uniform(0.0, 0.5),
        "burst": rng.uniform(1.5, 5),
        "flow": level(between(rng, 1e-2, 10)),
        "dead": level(max(0.0, rng.uniform(-0.1, 0.2))),
        "noise": between(rng, 0.002, noise),
        "update_noise": between(rng, 0.03, 0.2),
        "validation_noise": between(rng, 0.002, noise),
    }
    return Construction(**(drawn | chosen))


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform."""
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def n_steps(rng: np.random.Generator) -> int:
    return round(between(rng, 6, 200))


def level(value: float) -> Change:
    return Change(before=value, after=value)


def a_schedule(rng: np.random.Generator, *kinds: str) -> Schedule:
    kind = rng.choice(kinds or ("constant", "cosine", "linear", "exponential", "steps", "one_cycle"))
    return Schedule(
        kind=kind,
        warmup=rng.uniform(0.03, 0.2) if kind in ("constant", "cosine", "linear") and rng.random() < 0.4 else 0.0,
        last=between(rng, 0.005, 0.3) if kind == "exponential" else rng.choice([0.0, rng.uniform(0.0, 0.1)]),
        milestones=tuple(rng.uniform(0.25, 0.85, rng.integers(1, 4))),
        factor=rng.uniform(0.1, 0.5),
        cycles=int(rng.integers(2, 6)),
    )


def held(rng: np.random.Generator) -> Schedule:
    """A rate that is still high at the end."""
    kind = rng.choice(["constant", "linear", "exponential"])
    warmup = rng.uniform(0.03, 0.2) if rng.random() < 0.4 else 0.0
    return Schedule(kind=kind, last=rng.uniform(0.4, 0.9), warmup=warmup)

"""Jobs and trials of every kind, made up from a seed: what an answer must bear, whatever was tried."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from service.analysis.model.pruned_trials import Curves
from service.domain.job import Job
from service.domain.objective import Direction
from service.domain.training_seeds import training_seed
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import a_job, curve, trial

Random = np.random.Generator

OTHERS: dict[str, dict[str, Any]] = {
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "lion"]},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
    "epochs": {"type": "int", "low": 2, "high": 20},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
    "nesterov": {"type": "categorical", "choices": [True, False]},
}
KINDS = ["logarithmic", "logarithmic", "logarithmic", "linear", "from zero", "steps", "whole", "choices"]


def made_up(seed: int) -> tuple[Job, list[Trial], Curves]:
    """5 to 40 trials of one to three searched parameters."""
    random = np.random.default_rng(seed)
    direction: Direction = "minimize" if random.random() < 0.7 else "maximize"
    rate = _rate(random)
    names = sorted(random.choice(sorted(OTHERS), size=int(random.choice([0, 0, 1, 2])), replace=False))
    shared = random.random() < 0.25
    job = a_job(
        0,
        direction=direction,
        search_space={"learning_rate": rate} | {name: OTHERS[name] for name in names},
        training_seed="shared" if shared else "per_trial",
        seed=seed,
    )
    value = _value(random, *_ends(rate))
    names_seeds, declares = random.random() < 0.8, random.random() < 0.5
    prunes = random.random() < 0.2
    trials: list[Trial] = []
    curves: dict[int, Any] = {}
    sign = 1.0 if direction == "minimize" else -1.0
    for number in range(int(random.integers(5, 41))):
        point = {name: _drawn(random, OTHERS[name]) for name in names}
        at = _drawn(random, rate)
        # The same run has the same value.
        own = np.random.default_rng([seed, int(at * 1e9) % 2**32]) if shared else random
        cost, guessing = value(float(at), point, own)
        attributes: dict[str, Any] = {"training_seed": training_seed(job.spec, number=number)} if names_seeds else {}
        if declares:
            attributes["guessing"] = {"loss": sign * guessing}
        state = TrialState.COMPLETE if math.isfinite(cost) else TrialState.INFEASIBLE
        if math.isfinite(cost):
            halfway = cost + 0.5 * abs(guessing - cost)
            curves[number] = curve(sign * halfway, sign * cost)
            if prunes and number > 8 and halfway > float(np.median([sign * points[0].value for points in curves.values()])):
                state, curves[number] = TrialState.PRUNED, curve(sign * halfway, 0.0)[:1]
                cost = halfway
        trials.append(trial(number, at, sign * cost, state, user_attrs=attributes, **point))
    return job, trials, curves


def _rate(random: Random) -> dict[str, Any]:
    low = 10 ** random.uniform(-7, -1)
    match random.choice(KINDS):
        case "linear":
            return {"type": "float", "low": low, "high": low * random.uniform(1.5, 50)}
        case "from zero":
            return {"type": "float", "low": 0.0, "high": low}
        case "steps":
            step = float(f"{low:.2g}")
            return {"type": "float", "low": step, "high": float(f"{step * int(random.integers(4, 30)):.12g}"), "step": step}
        case "whole":
            return {"type": "int", "low": 1, "high": int(random.integers(4, 100)), "log": bool(random.random() < 0.5)}
        case "choices":
            rates = 10 ** random.uniform(-6, 1, int(random.integers(2, 10)))
            return {
                "type": "categorical",
                "choices": sorted({float(f"{each:.2g}") for each in rates}, key=lambda each: each % 0.01),
            }
        case _:
            return {"type": "float", "low": low, "high": low * 10 ** random.uniform(0.1, 7), "log": True}


def _ends(dimension: dict[str, Any]) -> tuple[float, float]:
    """log10."""
    rates = dimension.get("choices") or [dimension["low"], dimension["high"]]
    positive = [each for each in rates if each > 0]
    high = math.log10(max(positive))
    return math.log10(min(positive)) if len(positive) == len(rates) else high - 2, high


def _drawn(random: Random, dimension: dict[str, Any]) -> Any:
    """One in twenty at an end of its range."""
    if "choices" in dimension:
        return dimension["choices"][int(random.integers(len(dimension["choices"])))]
    low, high = dimension["low"], dimension["high"]
    if random.random() < 0.05:
        return (low or high) if random.random() < 0.5 else high
    if dimension["type"] == "int":
        return int(random.integers(low, high + 1))
    if "step" in dimension:
        return round(low + dimension["step"] * int(random.integers(round((high - low) / dimension["step"]) + 1)), 12)
    drawn = 10 ** random.uniform(math.log10(low), math.log10(high)) if dimension.get("log") else random.uniform(low, high)
    return float(min(max(drawn, low), high))


def _value(random: Random, low: float, high: float) -> Callable[[float, dict[str, Any], Random], tuple[float, float]]:
    """What makes a rate's cost, and that of guessing: a bowl or a valley, with or without noise, that may diverge or explode."""
    span = max(high - low, 0.1)
    best = random.uniform(low - 0.3 * span, high + 0.3 * span)
    width = random.choice([0.3, 1.0, 3.0])
    noise = random.choice([0.0, 0.01, 0.1, 1.0])
    edge = best + random.uniform(0, 1.5) * width if random.random() < 0.6 else math.inf
    sharpness = random.choice([0.001, 0.1, 0.4])
    explodes, chance = random.random() < 0.5, random.choice([0.0, 0.0, 0.05])
    is_bowl, is_rounded = random.random() < 0.4, random.random() < 0.1
    floor, size = random.choice([0.0, 0.1, -5.0, 100.0]), 10 ** random.choice([0.0, 0.0, 0.0, -3.0, 4.0])

    def value(rate: float, point: dict[str, Any], own: Random) -> tuple[float, float]:
        at = math.log10(rate) - math.log10(1 - point.get("momentum", 0.0)) - 0.7 * math.log10(point.get("batch_size", 32) / 32)
        at += {"adam": 0.5, "lion": 1.0}.get(point.get("optimizer", ""), 0.0)
        away = (at - best) / width
        cost = away**2 if is_bowl else 1 - math.exp(-(away**2))
        cost += 0.3 * point.get("dropout", 0.0) + noise * float(own.standard_normal()) * (0.1 + cost / (1 + cost))
        beyond = at - edge
        if own.random() < chance or own.random() < 1 / (1 + math.exp(min(-beyond / sharpness, 700.0))):
            if not explodes:
                return math.inf, floor + size
            cost += 10 ** min(8.0 * max(beyond, 0.0), 60.0)
        return floor + size * (round(cost, 1) if is_rounded else cost), floor + size

    return value

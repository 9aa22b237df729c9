"""The plain Gaussian process of benchmarks/plain_process.py on a recorded set: its best point, its intervals at many levels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.plain_process import fitted, minima_of
from benchmarks.recorded.recorded_set import RATE, Array, RecordedSet
from service.domain.trial import Trial, TrialState

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
N_DRAWS = 1_000
N_ALONE, N_RATES = 201, 41
"""Rates where the rate alone is searched, and where other parameters are, too."""
N_PLACES = 800
"""Where posterior samples are drawn: those whose loss may be the lowest."""


@dataclass(frozen=True, kw_only=True)
class PlainAnswer:
    """Rates are log10."""

    rate: float
    combination: int
    """Of the set's other parameters."""
    intervals: Sequence[tuple[float, float]]
    """At each of LEVELS."""


def plain_answer(recorded: RecordedSet, trials: Sequence[Trial], seed: int) -> PlainAnswer:
    """Takes a trial that trained to its end, at least."""
    points = np.array([_coordinates(recorded, trial.params) for trial in trials])
    values = [trial.value if trial.state is TrialState.COMPLETE and trial.value is not None else math.inf for trial in trials]
    process = fitted(points, np.array(values), seed)
    places, combinations = _places(recorded)
    if len(places) > N_PLACES:
        mean, sd = process.predict(places, return_std=True)
        chosen = np.sort((mean - 2 * sd).argsort()[:N_PLACES])
        chosen = np.union1d(chosen, [mean.argmin()])
        places, combinations = places[chosen], combinations[chosen]
    minima, best = minima_of(process, places, N_DRAWS, seed)
    rates = places[minima, 0]
    ends = [np.quantile(rates, ((1 - level) / 2, (1 + level) / 2)) for level in LEVELS]
    return PlainAnswer(
        rate=float(places[best, 0]),
        combination=int(combinations[best]),
        intervals=[(float(low), float(high)) for low, high in ends],
    )


@lru_cache(maxsize=1)
def _grid(key: str, n_rates: int, low: float, high: float, others: tuple[tuple[float, ...], ...]) -> tuple[Array, Array]:
    rates = np.linspace(low, high, n_rates)
    places = np.array([[rate, *other] for rate in rates for other in others])
    return places, np.tile(np.arange(len(others)), n_rates)


def _places(recorded: RecordedSet) -> tuple[Array, Array]:
    """Coordinates all over the space, (n, d), and the combination of each, (n,)."""
    others = tuple(tuple(_coordinates(recorded, {RATE: 1.0} | each)[1:]) for each in recorded.others)
    n_rates = N_ALONE if len(others) == 1 else N_RATES
    return _grid(recorded.key, n_rates, float(recorded.rates[0]), float(recorded.rates[-1]), others)


def _coordinates(recorded: RecordedSet, params: Mapping[str, Any]) -> list[float]:
    """log10 of the rate; the others from 0 to 1 over the set."""
    return [math.log10(params[RATE]), *recorded.scaled(params)]

"""Jobs and trials to ask about, made up."""

import math
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np

from service.domain.job import Job
from service.domain.trial import Trial, TrialState
from tests.finished_jobs import a_job, trial

LOG = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}


def job(**overrides: Any) -> Job:
    return a_job(uuid4().int >> 97, **{"search_space": {"learning_rate": LOG}} | overrides)


def diverged(number: int, rate: float, **params: Any) -> Trial:
    return trial(number, rate, math.inf, TrialState.INFEASIBLE, **params)


def bowl(best: float, curvature: float = 0.4, floor: float = 0.2) -> Callable[[float], float]:
    """The loss at a rate: a quadratic in its logarithm."""
    return lambda rate: floor + curvature * math.log10(rate / best) ** 2


def trained(
    loss: Callable[[float], float], n: int, *, noise: float = 0.02, low: float = 1e-4, high: float = 1.0, seed: int = 0
) -> list[Trial]:
    """`n` trials at rates drawn from the whole range."""
    random = np.random.default_rng(seed)
    rates = 10 ** random.uniform(math.log10(low), math.log10(high), n)
    return [trial(number, float(rate), loss(float(rate)) + noise * random.standard_normal()) for number, rate in enumerate(rates)]

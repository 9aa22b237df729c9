"""Optuna's samplers as Stride uses them: a new one for every trial, seeded by the job's seed and the trial's number.

So no process keeps a sampler's state, and every process draws the same point (DESIGN decision 5).
"""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace

from service.domain.space import CategoricalRange, FloatRange, IntRange, Range


def trial_seed(job_seed: int, number: int) -> int:
    """The sampler seed of one trial: 32 bits of sha256(job seed, trial number)."""
    return int.from_bytes(hashlib.sha256(f"{job_seed}/{number}".encode()).digest()[:4])


def view_name(job_seed: int) -> str:
    """The study name that Optuna sees. Hyperband hashes it to choose a trial's bracket, so it depends on the job's seed only."""
    return f"stride-{job_seed}"


def at_random(job_seed: int, number: int) -> RandomSampler:
    """A sampler that draws one trial's point at random, seeded by the trial's number."""
    return RandomSampler(seed=trial_seed(job_seed, number))


def keep_space(chosen: BaseSampler, space: IntersectionSearchSpace) -> None:
    """Give a new TPE sampler the intersection search space of an earlier one, which it would compute again from all trials."""
    if isinstance(chosen, TPESampler):
        chosen._search_space = space


def distribution(dimension: Range) -> BaseDistribution:
    """A range as Optuna's distribution. `points` defines a grid only and does not apply here."""
    match dimension:
        case FloatRange():
            return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
        case IntRange():
            return IntDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
        case CategoricalRange():
            return CategoricalDistribution(dimension.choices)
    assert_never(dimension)


@contextmanager
def silenced() -> Iterator[None]:
    """Ignore, by message, Optuna's warnings about what we do on purpose. The only place that does so."""
    with warnings.catch_warnings():
        for message in (
            "QMCSampler is experimental",
            "Fixed parameter .* is out of range",  # an enqueued point of the user's own
            "Clip non-finite values",  # diverged trials have an infinite value
            "The distribution is specified by .* but the range is not divisible by",  # the range ends at its last step
        ):
            warnings.filterwarnings("ignore", message=message)
        yield

"""Optuna's samplers as Stride uses them: built anew for every ask, from the job's seed and the trial's number.

So no process keeps a sampler's state, and it does not matter who asks (DESIGN decision 5).
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
    """The seed of whatever is drawn for one trial: 32 bits of sha256(job seed, trial number)."""
    return int.from_bytes(hashlib.sha256(f"{job_seed}/{number}".encode()).digest()[:4])


def view_name(job_seed: int) -> str:
    """The study name that Optuna is shown: Hyperband hashes it to choose a trial's bracket, so it depends on the seed alone."""
    return f"stride-{job_seed}"


def at_random(job_seed: int, number: int) -> RandomSampler:
    """Draws one trial's point by its number alone."""
    return RandomSampler(seed=trial_seed(job_seed, number))


def keep_space(chosen: BaseSampler, space: IntersectionSearchSpace) -> None:
    """Give a new TPE sampler what an earlier one worked out of the same study, which it would work out again from every trial."""
    if isinstance(chosen, TPESampler):
        chosen._search_space = space


def distribution(dimension: Range) -> BaseDistribution:
    """A range as Optuna knows it. `points` says where a grid lies and is nothing to Optuna."""
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
    """Silences, by name, what Optuna warns of where we do it on purpose. The one place for it."""
    with warnings.catch_warnings():
        for message in (
            "QMCSampler is experimental",
            "Fixed parameter .* is out of range",  # an enqueued point of the user's own
            "Clip non-finite values",  # diverged trials hold the worst value there is
            "The distribution is specified by .* but the range is not divisible by",  # the range ends at its last step
        ):
            warnings.filterwarnings("ignore", message=message)
        yield

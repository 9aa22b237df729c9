"""The registry of strategies, by the strategy in a job's request: the only code that distinguishes them."""

from collections.abc import Mapping

from service.domain import strategy as choices
from service.domain.request import JobRequest
from service.search.strategies.bayesian import Gp, Tpe
from service.search.strategies.confirm import Confirmation
from service.search.strategies.grid import Grid
from service.search.strategies.protocol import Strategy
from service.search.strategies.random import Qmc, Uniform

_STRATEGIES: Mapping[tuple[type[choices.PhaseStrategies], str | None], Strategy] = {
    (choices.Grid, None): Grid(),
    (choices.Random, "uniform"): Uniform(),
    (choices.Random, "qmc"): Qmc(),
    (choices.Bayesian, "tpe"): Tpe(),
    (choices.Bayesian, "gp"): Gp(),
    (choices.Confirm, None): Confirmation(),
}
"""By the type in a request and its sampler, where it has one."""


def strategy_of(request: JobRequest) -> Strategy:
    """The strategy that a job requests."""
    return _STRATEGIES[type(request.strategy), getattr(request.strategy, "sampler", None)]

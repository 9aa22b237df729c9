"""The registry of strategies, by the strategy in a job's request: the only code that distinguishes them."""

from collections.abc import Mapping

from service.domain import strategy as choices
from service.domain.request import JobRequest
from service.search.strategies.bayesian import Gp, Tpe
from service.search.strategies.grid import Grid
from service.search.strategies.protocol import Strategy
from service.search.strategies.random import Qmc, Uniform

_STRATEGIES: Mapping[choices.Strategy, Strategy] = {
    choices.Grid(): Grid(),
    choices.Random(sampler="uniform"): Uniform(),
    choices.Random(sampler="qmc"): Qmc(),
    choices.Bayesian(sampler="tpe"): Tpe(),
    choices.Bayesian(sampler="gp"): Gp(),
}


def strategy_of(request: JobRequest) -> Strategy:
    """The strategy that a job requests."""
    return _STRATEGIES[request.strategy]

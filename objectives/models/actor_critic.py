"""A policy and a value function, over observations that are vectors."""

import torch
from torch import Tensor, nn

from objectives.models.layers import Between
from objectives.models.mlp import mlp

FARTHEST = 10.0
"""Standardized observations are limited to this, in standard deviations."""
KEPT = 0.9
"""How much of the value's scale is kept when further returns are shown."""
EPS = 1e-8


class ActorCritic(nn.Sequential):
    """A multilayer perceptron whose hidden layers policy and value share.

    Maps observations (n, n_observed) to what the policy acts by, (n, n_actions), and to values, (n,). has_deviations: the policy
    also has the logarithm of a standard deviation for each output, learned, and the same for all observations; outputs are then
    (n, 2 * n_actions).
    """

    def __init__(
        self, n_observed: int, n_actions: int, between: Between, *, hidden_layers: int, width: int, has_deviations: bool
    ) -> None:
        layers = mlp((n_observed,), n_actions + 1, between, hidden_layers=hidden_layers, width=width)
        super().__init__(Standardized(n_observed), *layers, Heads(n_actions if has_deviations else 0))

    @property
    def standardized(self) -> "Standardized":
        first = self[0]
        assert isinstance(first, Standardized)
        return first

    @property
    def heads(self) -> "Heads":
        last = self[-1]
        assert isinstance(last, Heads)
        return last


class Standardized(nn.Module):
    """Standardizes observations by the mean and variance of all that it has been shown; before that, it changes nothing."""

    n_shown: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, n_observed: int) -> None:
        super().__init__()
        self.register_buffer("n_shown", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(n_observed, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(n_observed, dtype=torch.float64))

    def show(self, observations: Tensor) -> None:
        """Take observations, (n, n_observed), into mean and variance: Chan et al. (1979), "Updating Formulae", eq. 2.1."""
        observations = observations.double()
        self.n_shown += len(observations)
        share = len(observations) / self.n_shown
        distance = observations.mean(0) - self.mean
        self.mean.add_(share * distance)
        self.variance.lerp_(observations.var(0, correction=0), share).add_(share * (1 - share) * distance.square())

    def forward(self, observations: Tensor) -> Tensor:
        deviation = (self.variance + EPS).sqrt().float()
        return ((observations - self.mean.float()) / deviation).clamp(-FARTHEST, FARTHEST)


class Heads(nn.Module):
    """Divides what the last layer gives, (n, n_actions + 1), into outputs of the policy and values.

    Values are in units of `scale`, the root mean square of recent returns, so that their loss is of the size of the policy's
    in every environment; 0: no return other than 0 was shown.
    """

    scale: Tensor

    def __init__(self, n_deviations: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.zeros(()))
        self.log_deviations = nn.Parameter(torch.zeros(n_deviations)) if n_deviations else None

    def show(self, returns: Tensor) -> None:
        kept = KEPT if self.scale > 0 else 0.0
        self.scale.copy_((kept * self.scale.square() + (1 - kept) * returns.square().mean()).sqrt())

    def forward(self, given: Tensor) -> tuple[Tensor, Tensor]:
        outputs, values = given[:, :-1], given[:, -1]
        if self.log_deviations is not None:
            outputs = torch.cat([outputs, self.log_deviations.expand_as(outputs)], 1)
        return outputs, values

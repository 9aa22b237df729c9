"""Proximal policy optimization: Schulman et al. (2017), eq. 7 and 9, https://arxiv.org/abs/1707.06347.

Advantages are those of Schulman et al. (2016), GAE, eq. 16, https://arxiv.org/abs/1506.02438. Deviations: they are standardized
over the transitions of an iteration; a step that a time limit cut is followed by the value of what was observed there.
"""

from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor

from objectives.training.policies import Distribution


class Learned(NamedTuple):
    """What is learned from n transitions."""

    actions: Tensor
    log_probabilities: Tensor
    """Of the actions, by the policy that took them, (n,)."""
    advantages: Tensor
    """Standardized, (n,)."""
    returns: Tensor
    """In the unit of values, (n,)."""


class Parts(NamedTuple):
    """Means over transitions."""

    policy_loss: Tensor
    value_loss: Tensor
    """Half of the squared error."""
    entropy: Tensor
    approximate_kl: Tensor
    """From the policy that acted to this one: r - 1 - log r, where r is the ratio of an action's probabilities."""
    clip_fraction: Tensor
    """Transitions whose ratio is beyond clip_ratio."""


class Ppo:
    """The loss. params: the catalog describes clip_ratio, value_weight and entropy_weight. clips: False for an actor-critic."""

    def __init__(self, distribution: Distribution, params: Mapping[str, Any], *, clips: bool) -> None:
        self._distribution = distribution
        self._clip_ratio: float = params["clip_ratio"] if clips else inf
        self._value_weight: float = params["value_weight"]
        self._entropy_weight: float = params["entropy_weight"]

    def loss(self, outputs: tuple[Tensor, Tensor], learned: Learned) -> Tensor:
        """Of outputs and values, as the model gives them for the observations of the transitions; a scalar."""
        found = self.parts(outputs, learned)
        return found.policy_loss + self._value_weight * found.value_loss - self._entropy_weight * found.entropy

    def parts(self, outputs: tuple[Tensor, Tensor], learned: Learned) -> Parts:
        of_policy, values = outputs
        log_ratios = self._distribution.log_probability(of_policy, learned.actions) - learned.log_probabilities
        ratios = log_ratios.exp()
        clipped = ratios.clamp(1 - self._clip_ratio, 1 + self._clip_ratio)
        return Parts(
            policy_loss=-torch.minimum(ratios * learned.advantages, clipped * learned.advantages).mean(),
            value_loss=(values - learned.returns).square().mean() / 2,
            entropy=self._distribution.entropy(of_policy).mean(),
            approximate_kl=(ratios - 1 - log_ratios).mean(),
            clip_fraction=(clipped != ratios).float().mean(),
        )


def advantages_of(
    rewards: Tensor, values: Tensor, next_values: Tensor, ended: Tensor, *, discount: float, gae_lambda: float
) -> Tensor:
    """Generalized advantage estimates; all tensors are (n_steps, n_environments).

    next_values: of the observations that the actions led to; 0 where the episode terminated there. ended: 1 where the next step
    is of another episode, else 0.
    """
    errors = rewards + discount * next_values - values
    kept = discount * gae_lambda * (1 - ended)
    advantages = torch.empty_like(errors)
    advantage = torch.zeros_like(errors[0])
    for step in reversed(range(len(errors))):
        advantage = errors[step] + kept[step] * advantage
        advantages[step] = advantage
    return advantages

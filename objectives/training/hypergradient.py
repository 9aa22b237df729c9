"""Hypergradient descent: SGD and Adam that adapt their learning rate while they train.

Baydin et al., "Online Learning Rate Adaptation with Hypergradient Descent" (2018), https://arxiv.org/abs/1703.04782. The
derivative of the loss by the last learning rate is minus the product of the gradient g_t and the last direction u_{t-1}: a
direction that still leads downhill raises the rate. This is the paper's multiplicative rule, which the loss's scale leaves alone:

    factor_t = factor_{t-1} * (1 + hypergradient_rate * cos(g_t, u_{t-1}))
    weights_t = weights_{t-1} - lr * factor_t * u_t

Deviations: `lr` stays the schedule's, and the factor, 1 at first, is what adapts. Each parameter group has a factor of its own.
Momentum is not Nesterov's.
"""

from math import sqrt
from typing import Any

import torch
from torch import Tensor


class Hypergradient(torch.optim.Optimizer):
    """What both have in common; a subclass gives the directions. Weight decay is an L2 penalty, added to the gradient."""

    def __init__(
        self, groups: list[dict[str, Any]], *, lr: float, hypergradient_rate: float, weight_decay: float, **own: Any
    ) -> None:
        """own: the defaults that the subclass needs."""
        shared = {"lr": lr, "hypergradient_rate": hypergradient_rate, "weight_decay": weight_decay, "factor": 1.0}
        super().__init__(groups, shared | own)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Make an update with the gradients that have been computed."""
        for group in self.param_groups:
            trained = [weights for weights in group["params"] if weights.grad is not None]
            gradients = [weights.grad.add(weights, alpha=group["weight_decay"]) for weights in trained]
            if trained and all("direction" in self.state[weights] for weights in trained):
                last = [self.state[weights]["direction"] for weights in trained]
                group["factor"] *= 1 + group["hypergradient_rate"] * _cosine(gradients, last)
            for weights, gradient in zip(trained, gradients, strict=True):
                direction = self._direction(gradient, self.state[weights], group)
                self.state[weights]["direction"] = direction
                weights.add_(direction, alpha=-group["lr"] * group["factor"])

    def _direction(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        raise NotImplementedError


class HypergradientSGD(Hypergradient):
    """u_t = momentum * u_{t-1} + g_t, as in PyTorch's SGD; takes `momentum`."""

    def _direction(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        return gradient.add(state["direction"], alpha=group["momentum"]) if "direction" in state else gradient


class HypergradientAdam(Hypergradient):
    """u_t is Adam's: the bias-corrected averages' ratio; takes `betas` and `eps`."""

    def _direction(self, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
        beta1, beta2 = group["betas"]
        if "step" not in state:
            state.update(step=0, exp_avg=torch.zeros_like(gradient), exp_avg_sq=torch.zeros_like(gradient))
        state["step"] += 1
        average = state["exp_avg"].lerp_(gradient, 1 - beta1)
        squares = state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = 1 - beta1 ** state["step"]
        denominator = squares.sqrt().div_(sqrt(1 - beta2 ** state["step"])).add_(group["eps"])
        direction: Tensor = average.div(denominator).div_(scale)
        return direction


def _cosine(gradients: list[Tensor], directions: list[Tensor]) -> float:
    """Of the angle between two vectors, each given in parts; 0 where one of them is 0."""
    products = [
        torch.stack([torch.dot(a.flatten(), b.flatten()) for a, b in zip(one, other, strict=True)]).sum()
        for one, other in ((gradients, directions), (gradients, gradients), (directions, directions))
    ]
    product, of_gradients, of_directions = torch.stack(products).tolist()
    norms = sqrt(of_gradients) * sqrt(of_directions)
    return product / norms if norms != 0 else 0.0

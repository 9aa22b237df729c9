"""The effective learning rate of an update: how far it moves each weight, divided by that weight's gradient.

Plain gradient descent moves all weights at the learning rate. Adaptive methods move each at its own, which may grow or decay
while the learning rate stays: AdaGrad's decays with the sum of the squared gradients (Duchi et al. 2011). Momentum and weight
decay count, too, since they move weights.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

SAMPLE = 10_000
"""Weights of a group that are looked at, at most: evenly spaced ones."""
QUANTILES = {"effective_rate_low": 0.1, "effective_rate": 0.5, "effective_rate_high": 0.9}
"""Metrics of a group, and which quantile over its weights each is."""


class EffectiveRates:
    """Measures the next update of an optimizer, whose gradients have been computed and clipped."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._has_groups = len(optimizer.param_groups) > 1
        self._before = [
            (group, _sample(group, "weights").clone(), _sample(group, "gradients").clone())
            for group in optimizer.param_groups
            if any(weights.grad is not None for weights in group["params"])
        ]

    def metrics(self) -> dict[str, float]:
        """Quantiles for each group with weights whose gradient was not 0, once the update has been made.

        Where there are several groups, a name ends with that of its group: "effective_rate/head".
        """
        return dict(self._metrics())

    def _metrics(self) -> Iterator[tuple[str, float]]:
        for group, weights, gradients in self._before:
            moved = gradients != 0
            if not moved.any():
                continue
            rates = ((_sample(group, "weights") - weights)[moved] / gradients[moved]).abs()
            found = torch.quantile(rates, torch.tensor(list(QUANTILES.values()), device=rates.device)).tolist()
            of_group = f"/{group['name']}" if self._has_groups else ""
            yield from ((f"{name}{of_group}", value) for name, value in zip(QUANTILES, found, strict=True))


def _sample(group: Mapping[str, Any], what: str) -> Tensor:
    """The same weights of a group each time, or their gradients, (n_sampled,)."""
    trained = [weights for weights in group["params"] if weights.grad is not None]
    every = -(-sum(weights.numel() for weights in trained) // SAMPLE)
    every += 1 - every % 2  # odd: an even one may look at the same columns of each matrix only
    chosen = [weights.detach() if what == "weights" else weights.grad for weights in trained]
    return torch.cat([each.flatten()[::every] for each in chosen])

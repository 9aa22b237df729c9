"""The effective learning rate of an update: how far it moves each weight, divided by that weight's gradient.

Plain gradient descent moves all weights at the learning rate. Adaptive methods move each at its own, which may grow or decay
while the learning rate stays: AdaGrad's decays with the sum of the squared gradients (Duchi et al. 2011). Momentum and weight
decay count, too, since they move weights.

At low rates a weight moves by less than its 32-bit float is rounded by. So a sample of the weights is updated once more, in
64-bit floats, by a copy of the optimizer with its state. What an optimizer computes from all weights, the copy computes from the
sample: under hypergradient descent, a rate may be wrong by the fraction `hypergradient_rate` in each direction.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

SAMPLE = 2_000
"""Weights of a group that are looked at, at most: evenly spaced ones. With so many, quantiles are within some percent."""
QUANTILES = {"effective_rate_low": 0.1, "effective_rate": 0.5, "effective_rate_high": 0.9}
"""Metrics of a group, and which quantile over its weights each is."""
RESOLVED = 2**10 * torch.finfo(torch.float64).eps
"""The smallest change of a weight that is looked at, as a fraction of the weight: rounding changes it by less than 0.1%."""


class EffectiveRates:
    """Measures the next update of an optimizer, whose gradients have been computed and clipped, on a sample of the weights."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._has_groups = len(optimizer.param_groups) > 1
        state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        groups = []
        for group in optimizer.param_groups:
            sampled = []
            trained = [weights for weights in group["params"] if weights.grad is not None]
            every = -(-sum(weights.numel() for weights in trained) // SAMPLE)
            every += 1 - every % 2  # odd: an even one may look at the same columns of each matrix only
            for weights in trained:
                sampled.append(_sample(weights, every))
                sampled[-1].grad = _sample(weights.grad, every)
                of_weights = optimizer.state.get(weights, {})
                state[sampled[-1]] = {name: _sampled_state(name, value, every) for name, value in of_weights.items()}
            groups.append({**group, "params": sampled})
        # Not by its class, since a constructor takes other arguments than those that the optimizer keeps.
        self._copy = object.__new__(type(optimizer))
        vars(self._copy).update(vars(optimizer), param_groups=groups, state=state)

    def metrics(self) -> dict[str, float]:
        """Quantiles for each group with weights that move.

        Where there are several groups, a name ends with that of its group: "effective_rate/head".
        """
        return dict(self._metrics())

    def _metrics(self) -> Iterator[tuple[str, float]]:
        groups = [group for group in self._copy.param_groups if group["params"]]
        before = [torch.cat(group["params"]) for group in groups]
        self._copy.step()
        for group, weights in zip(groups, before, strict=True):
            gradients = torch.cat([each.grad for each in group["params"]])
            change = torch.cat(group["params"]) - weights
            rates = (change / gradients).abs()[(gradients != 0) & (change.abs() > RESOLVED * weights.abs())]
            if not len(rates):
                continue
            found = torch.quantile(rates, torch.tensor(list(QUANTILES.values()), dtype=rates.dtype, device=rates.device)).tolist()
            of_group = f"/{group['name']}" if self._has_groups else ""
            yield from ((f"{name}{of_group}", value) for name, value in zip(QUANTILES, found, strict=True))


def _sample(values: Tensor, every: int) -> Tensor:
    """Every so many of the values, in 64-bit floats, (n_sampled,)."""
    return values.detach().flatten()[::every].double()


def _sampled_state(name: str, value: Any, every: int) -> Any:
    """Of a weight's state, which has a value for each of them; the number of its updates is one for all."""
    if not isinstance(value, Tensor):
        return value
    return value.clone() if name == "step" else _sample(value, every)

"""What a policy's outputs mean: a distribution over discrete actions, or over numbers. Pure functions of the outputs."""

from math import e, log, pi
from typing import Protocol

import torch
from torch import Tensor


class Distribution(Protocol):
    """Outputs are (n, n_outputs), actions (n,) or (n, n_numbers); log-probabilities and entropies, in nats, (n,)."""

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor: ...

    def mode(self, outputs: Tensor) -> Tensor:
        """The most probable actions."""

    def log_probability(self, outputs: Tensor, actions: Tensor) -> Tensor: ...

    def entropy(self, outputs: Tensor) -> Tensor: ...


class Discrete:
    """One of n_outputs actions, by their logits."""

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        # The largest of the logits with Gumbel noise: torch.multinomial would raise on nan, which is divergence here.
        return (outputs - torch.empty_like(outputs).exponential_(generator=generator).log()).argmax(1)

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs.argmax(1)

    def log_probability(self, outputs: Tensor, actions: Tensor) -> Tensor:
        return outputs.log_softmax(1).gather(1, actions.unsqueeze(1)).squeeze(1)

    def entropy(self, outputs: Tensor) -> Tensor:
        logs = outputs.log_softmax(1)
        return -(logs.exp() * logs).sum(1)


class Gaussian:
    """Independent normal numbers: outputs are their means, then the logarithms of their standard deviations."""

    def sample(self, outputs: Tensor, generator: torch.Generator) -> Tensor:
        means, logs = outputs.chunk(2, 1)
        return means + logs.exp() * torch.empty_like(means).normal_(generator=generator)

    def mode(self, outputs: Tensor) -> Tensor:
        return outputs.chunk(2, 1)[0]

    def log_probability(self, outputs: Tensor, actions: Tensor) -> Tensor:
        means, logs = outputs.chunk(2, 1)
        return -(((actions - means) / logs.exp()).square() / 2 + logs + log(2 * pi) / 2).sum(1)

    def entropy(self, outputs: Tensor) -> Tensor:
        return (outputs.chunk(2, 1)[1] + log(2 * pi * e) / 2).sum(1)

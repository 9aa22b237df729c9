"""A network that adapts to each few-shot problem by gradient descent, and learns the weights that it starts from.

MAML: Finn et al., "Model-Agnostic Meta-Learning" (2017), algorithm 1, https://arxiv.org/abs/1703.03400. Learned inner rates: Li
et al., "Meta-SGD" (2017), eq. 2, https://arxiv.org/abs/1707.09835, where they may be negative; here they stay positive. Reptile:
Nichol et al., "On First-Order Meta-Learning Algorithms" (2018), algorithm 2, https://arxiv.org/abs/1803.02999.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle, islice
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor, nn

from objectives.training.losses import Loss


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """How a learner adapts; the catalog describes each field."""

    algorithm: str
    inner_learning_rate: float
    inner_steps: int
    inner_steps_evaluation: int
    inner_rates: str
    first_order: bool


class Adapted(NamedTuple):
    """What a learner returns for a batch of episodes."""

    outputs: Tensor
    """(episodes, queries, n_outputs)"""
    surrogate: Tensor
    """A scalar to be added to the training loss. Its value is 0. Its gradient is Reptile's, the mean over the episodes of the
    initial weights less the adapted ones; in MAML it has none, and the outputs have."""


class FewShotLearner(nn.Module):
    """A multilayer perceptron that adapts to each episode of a batch, apart from the others, before it answers its queries.

    The layers of the perceptron are those of this module, so that rates by depth mean what they mean without adapting.
    """

    def __init__(self, network: nn.Sequential, loss: Loss, adaptation: Adaptation, *, examples_per_step: int) -> None:
        """network: as `mlp` makes it, without normalization and dropout. loss: what the inner steps lower.

        examples_per_step: of a support set. A larger one is divided into parts, which the steps take in turns; if there are more
        parts than steps, parts are so much larger that the steps take all examples.
        """
        super().__init__()
        for name, layer in network.named_children():
            self.add_module(name, layer)
        self._layers = list(network)
        self._loss = loss
        self._adaptation = adaptation
        self._examples_per_step = examples_per_step
        sizes = [each.numel() if adaptation.inner_rates == "per-weight" else 1 for each in network.parameters()]
        is_learned = adaptation.algorithm == "maml" and adaptation.inner_rates != "fixed"
        # Relative to inner_learning_rate, so that weight decay pulls there. One-dimensional like biases: they are no layer.
        self.log_inner_rates = nn.ParameterList([torch.zeros(size) for size in sizes] if is_learned else [])

    def forward(self, support_inputs: Tensor, support_targets: Tensor, query_inputs: Tensor) -> Adapted:
        """Adapt to episodes and answer their queries: inputs (episodes, examples, ...), targets (episodes, examples)."""
        how = self._adaptation
        is_maml = how.algorithm == "maml"
        weights = self._weights()
        with torch.enable_grad():  # the inner steps need gradients in evaluation, too
            adapted = self._adapt(
                [each.expand(len(support_inputs), *each.shape) for each in weights],
                support_inputs,
                support_targets,
                how.inner_steps if self.training else how.inner_steps_evaluation,
                create_graph=self.training and is_maml and not how.first_order,
            )
        outputs = outputs_of_each(self._layers, adapted, query_inputs)
        if is_maml or not self.training:
            return Adapted(outputs, outputs.new_zeros(()))
        # Differences first: rounding of a mean would be a gradient where no weight has changed, and Adam would enlarge it.
        parts = [(each * (each - after).mean(dim=0).detach()).sum() for each, after in zip(weights, adapted, strict=True)]
        total = torch.stack(parts).sum()
        return Adapted(outputs.detach(), total - total.detach())

    def _adapt(self, weights: list[Tensor], inputs: Tensor, targets: Tensor, n_steps: int, *, create_graph: bool) -> list[Tensor]:
        """The weights of each episode, (episodes, ...), after steps of gradient descent."""
        rates = self._inner_rates()
        size = max(self._examples_per_step, ceil(inputs.shape[1] / n_steps))
        parts = zip(inputs.split(size, dim=1), targets.split(size, dim=1), strict=True)
        for of_part, wanted in islice(cycle(parts), n_steps):
            # The sum over the episodes of their mean losses: none depends on another episode's weights.
            outputs = outputs_of_each(self._layers, weights, of_part)
            loss = len(inputs) * self._loss(outputs.flatten(0, 1), wanted.flatten())
            gradients = torch.autograd.grad(loss, weights, create_graph=create_graph)
            weights = [each - rate * slope for each, rate, slope in zip(weights, rates, gradients, strict=True)]
        return weights

    def _weights(self) -> list[nn.Parameter]:
        return [weights for layer in self._layers for weights in layer.parameters()]

    def _inner_rates(self) -> list[Tensor | float]:
        """The inner learning rate of each tensor of weights: a number, or one for each of its elements."""
        first = self._adaptation.inner_learning_rate
        if not len(self.log_inner_rates):
            return [first] * len(self._weights())
        rates = [first * log_rate.exp() for log_rate in self.log_inner_rates]
        return [rate if len(rate) == 1 else rate.view_as(of) for rate, of in zip(rates, self._weights(), strict=True)]


def outputs_of_each(layers: Iterable[nn.Module], weights: Iterable[Tensor], inputs: Tensor) -> Tensor:
    """The outputs (episodes, examples, n_outputs) of a multilayer perceptron with weights of its own for each episode.

    weights: those of its Linear layers in their order, each (episodes, ...). inputs: (episodes, examples, ...).
    """
    remaining = iter(weights)
    values = inputs.flatten(2)
    for layer in layers:
        if isinstance(layer, nn.Linear):
            matrices, biases = next(remaining), next(remaining)
            values = torch.baddbmm(biases.unsqueeze(1), values, matrices.transpose(1, 2))
        elif not isinstance(layer, nn.Flatten):
            # As one batch: measurements of units look at outputs (examples, units).
            values = layer(values.flatten(0, 1)).unflatten(0, values.shape[:2])
    return values

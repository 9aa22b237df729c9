"""Snapshots: the weights at the ends of a schedule's cycles, how far apart they are, and the ensemble of their models.

Where the rate is low a cycle ends near a minimum, and where it rises again the weights leave it for another one: Loshchilov and
Hutter (2017), Smith (2017). The average of the models' predictions costs no further training: Huang et al., "Snapshot Ensembles"
(2017), https://arxiv.org/abs/1704.00109.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from objectives.training.batches import described
from objectives.training.problems import untrainable

State = dict[str, Any]
"""Of a model."""


class Snapshots:
    """Keeps the last snapshots of a run, at most `n_averaged`, and one at least, that the next is compared with."""

    def __init__(self, n_averaged: int) -> None:
        self._n_averaged = n_averaged
        self._states: list[State] = []

    def take(self, model: nn.Module) -> float | None:
        """Keep the weights. Returns how far they are from those of the last cycle, relative to their norm; None: the first."""
        state = copy.deepcopy(model.state_dict())
        distance = _distance(model, self._states[-1]) if self._states else None
        self._states = [*self._states, state][-max(1, self._n_averaged) :]
        return distance

    @property
    def averaged(self) -> list[State]:
        """Those whose predictions are averaged, the oldest first; empty where none are to be, or before the first cycle's end."""
        return self._states if self._n_averaged else []

    def state_dict(self) -> list[State]:
        return self._states

    def load_state_dict(self, states: list[State]) -> None:
        self._states = states


class Ensemble:
    """Predicts as the average of a model with several states. `restore` it afterwards: the model's own weights are replaced."""

    def __init__(
        self, model: nn.Module, forward: Callable[[Any], Any], states: Sequence[State], average: Callable[[Sequence[Any]], Any]
    ) -> None:
        self._model = model
        self._forward = forward
        self._states = states
        self._average = average
        self._own = copy.deepcopy(model.state_dict())

    def __call__(self, inputs: Any) -> Any:
        outputs = []
        for state in self._states:
            self._model.load_state_dict(state)
            outputs.append(self._forward(inputs))
        return self._average(outputs)

    def restore(self) -> None:
        self._model.load_state_dict(self._own)


def mean_outputs(outputs: Sequence[Any]) -> Tensor:
    """The mean of what several models returned. Raises DataProblem unless they are tensors."""
    for each in outputs:
        if not isinstance(each, Tensor):
            raise untrainable(f"snapshot_ensemble averages tensors, and the model returned {described(each)}: leave it at 0.")
    return torch.stack(list(outputs)).mean(dim=0)


def mean_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """The logits (n, classes, ...) of the mean of the probabilities of several models."""
    return torch.stack(list(logits)).log_softmax(dim=2).exp().mean(dim=0).log()


def _distance(model: nn.Module, before: State) -> float:
    pairs = [(weights.detach(), before[name].to(weights.device)) for name, weights in model.named_parameters()]
    squares = torch.stack([torch.stack([(now - then).square().sum(), then.square().sum()]) for now, then in pairs]).sum(dim=0)
    return float((squares[0] / squares[1]).sqrt())

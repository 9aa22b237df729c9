"""The updates of an epoch, and what they show: batches in, gradients, limits, rates, and one step of the optimizer each."""

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from objectives.training.gradients import Clipping, FlatGradients
from objectives.training.losses import Loss
from objectives.training.optimizers import momentum_of, set_rates
from objectives.training.schedules import Schedule

CHECK_EVERY = 64
"""Updates between two looks at the loss within an epoch: every look makes a GPU wait."""


def in_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Where outputs are computed: in float32, or mixed with bfloat16."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, torch.bfloat16)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What the updates of an epoch showed. Its lists end early when the loss stops being finite, at the first look after that."""

    losses: list[float]
    gradient_norms: list[float]
    """Before clipping."""
    clipped_share: float
    applied: list[list[tuple[float, float | None]]]
    """By update and group: learning rate and momentum."""
    learning_rate: float
    """The last, before the groups' multiples."""
    gradient_flow: float
    """At the last update, as is the ratio of the update's norm to that of all weights."""
    update_to_weight_ratio: float


class Updates:
    """Trains a model, an epoch at a time.

    learning_rate: before the schedule and the groups' multiples. n_pieces: in how many a batch is computed, whose gradients are
    accumulated.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        clipping: Clipping,
        *,
        learning_rate: float,
        n_pieces: int,
        precision: str,
        device: torch.device,
    ) -> None:
        self._model = model
        self._loss = loss
        self._optimizer = optimizer
        self._schedule = schedule
        self._clipping = clipping
        self._learning_rate = learning_rate
        self._n_pieces = n_pieces
        self._precision = precision
        self._device = device
        self._gradients = FlatGradients(model)

    def of_epoch(self, batches: Iterable[tuple[Tensor, Tensor]], first: int, last: int) -> Epoch:
        """Train on each of the batches, (inputs, targets). first, last: numbers of their updates in the run, from 0."""
        losses, gradient_norms, clipped, applied = [], [], [], []
        flow = before = None
        learning_rate = 0.0
        self._model.train()
        for update, (inputs, targets) in enumerate(batches, start=first):
            losses.append(self._backward(inputs, targets))
            norm = self._gradients.norm()
            gradient_norms.append(norm)
            if (update - first + 1) % CHECK_EVERY == 0 and not losses[-1].isfinite():
                break
            if update == last:
                flow, before = self._gradients.flow(), self._weights()
            if (is_clipped := self._gradients.clip(self._clipping, norm)) is not None:
                clipped.append(is_clipped)
            learning_rate = self._learning_rate * self._schedule.multiplier(update)
            set_rates(self._optimizer, learning_rate, self._schedule.momentum(update))
            self._optimizer.step()
            applied.append([(group["lr"], momentum_of(group)) for group in self._optimizer.param_groups])
        return Epoch(
            losses=torch.stack(losses).tolist(),
            gradient_norms=torch.stack(gradient_norms).tolist(),
            clipped_share=torch.stack(clipped).float().mean().item() if clipped else 0.0,
            applied=applied,
            learning_rate=learning_rate,
            gradient_flow=math.nan if flow is None else flow.item(),
            update_to_weight_ratio=math.nan if before is None else _relative_change(before, self._weights()).item(),
        )

    def _backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Fill the gradients with those of a batch, piece by piece if need be; returns its mean loss."""
        self._gradients.zero()
        if self._n_pieces == 1:
            loss = self._training_loss(inputs, targets)
            loss.backward()
            return loss.detach()
        total = torch.zeros((), device=self._device)
        for some_inputs, some_targets in zip(
            inputs.tensor_split(self._n_pieces), targets.tensor_split(self._n_pieces), strict=True
        ):
            loss = self._training_loss(some_inputs, some_targets) * (len(some_inputs) / len(inputs))
            loss.backward()
            total += loss.detach()
        return total

    def _training_loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with in_precision(self._precision, self._device):
            outputs = self._model(inputs)
        return self._loss(outputs.float(), targets)

    def _weights(self) -> Tensor:
        """A copy of all weights, (n weights,)."""
        return torch.cat([weights.detach().flatten() for weights in self._model.parameters()])


def _relative_change(before: Tensor, after: Tensor) -> Tensor:
    change: Tensor = torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before)
    return change

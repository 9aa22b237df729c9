"""The optimizer updates of an epoch, and what is measured in them: gradients, clipping, and learning rates."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from objectives.training.batches import Batch, pieces
from objectives.training.effective_rates import EffectiveRates
from objectives.training.forward import Forward
from objectives.training.gradients import Clipping, FlatGradients
from objectives.training.optimizers import factors_of, momentum_of, set_rates, training_weights
from objectives.training.ranks import Ranks
from objectives.training.schedules import Schedule

CHECK_EVERY = 64
"""Updates between two checks within an epoch that the loss is finite: every check synchronizes with the GPU."""
LARGEST: float = torch.finfo(torch.float32).max
"""Weights and gradients are 32-bit floats: a larger number is infinite to them, and some of PyTorch's operations refuse it."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Measurements of an epoch's updates.

    The lists end early at an overflow, and at the first check (CHECK_EVERY) that finds a non-finite loss.
    """

    losses: list[float]
    gradient_norms: list[float]
    """Before clipping."""
    clipped_share: float
    applied: list[list[tuple[float, float | None]]]
    """(learning rate, momentum) by update and group."""
    learning_rate: float
    """The learning rate of the last update, before the groups' multiples."""
    gradient_flow: float
    """At the last update; nan if the epoch ended early."""
    update_to_weight_ratio: float
    """Norm of the last update divided by the norm of all weights before it; nan if the epoch ended early."""
    effective_rates: dict[str, float]
    """Of the last update, by the name of a metric; empty if the epoch ended early."""
    seconds: float
    """Wall-clock time."""
    overflow: str | None
    """The number of the update after the last one that was too large for it, in words."""


class Updates:
    """Trains a model, one epoch at a time.

    learning_rate: before the schedule and the groups' multiples. n_pieces: the number of microbatches that a batch, or the share
    of a rank, is computed in, with their gradients accumulated.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Forward,
        loss: Callable[[Any, Any], Tensor],
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        clipping: Clipping,
        *,
        learning_rate: float,
        n_pieces: int,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        self._model = model
        self._forward = forward
        self._loss = loss
        self._optimizer = optimizer
        self._schedule = schedule
        self._clipping = clipping
        self._learning_rate = learning_rate
        self._n_pieces = n_pieces
        self._device = device
        self._ranks = ranks
        self.find_weights()

    def find_weights(self) -> None:
        """Find the weights that are trained: to be called again when they have become others."""
        self._gradients = FlatGradients(self._model)

    def of_epoch(self, batches: Iterable[Batch], first: int, last: int) -> Epoch:
        """Train on the batches. first, last: the numbers of their updates in the run, from 0."""
        with training_weights(self._optimizer):
            return self._of_epoch(batches, first, last)

    def _of_epoch(self, batches: Iterable[Batch], first: int, last: int) -> Epoch:
        started = time.perf_counter()
        losses, gradient_norms, clipped, applied = [], [], [], []
        flow = before = effective = overflow = None
        too_large = self._fixed_overflow()
        learning_rate = 0.0
        self._model.train()
        for update, batch in enumerate(batches, start=first):
            losses.append(self._backward(batch))
            norm = self._gradients.norm()
            gradient_norms.append(norm)
            if (update - first + 1) % CHECK_EVERY == 0 and not losses[-1].isfinite():
                break
            next_rate = self._learning_rate * self._schedule.multiplier(update)
            set_rates(self._optimizer, next_rate, self._schedule.momentum(update))
            if (overflow := self._rate_overflow() or too_large) is not None:
                break
            if update == last:
                flow, before = self._gradients.flow(), self._weights()
            if (is_clipped := self._gradients.clip(self._clipping, norm)) is not None:
                clipped.append(is_clipped)
            learning_rate = next_rate
            if update == last:
                effective = EffectiveRates(self._optimizer)
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
            effective_rates={} if effective is None else effective.metrics(),
            seconds=time.perf_counter() - started,
            overflow=overflow,
        )

    def _rate_overflow(self) -> str | None:
        """The first learning rate of the next update that is too large for it, in words."""
        factors = (factor for group in self._optimizer.param_groups for factor in factors_of(group))
        return next((_too_large(name, factor) for name, factor in factors if not factor <= LARGEST), None)

    def _fixed_overflow(self) -> str | None:
        """The first number that is too large for every update, in words: asked once an epoch, since it takes microseconds."""
        for numbers in (*self._optimizer.param_groups, vars(self._clipping)):
            for name, number in numbers.items():
                if isinstance(number, float) and name not in ("lr", "multiplier") and not number <= LARGEST:
                    return _too_large(name, number)
        return None

    def _backward(self, batch: Batch) -> Tensor:
        """Compute the gradients of a batch, in microbatches if there are several; returns the mean loss of the batch.

        Of several ranks each computes its share.
        """
        self._gradients.zero()
        if self._n_pieces == 1 and self._ranks.n == 1:
            loss = self._loss(self._forward(batch.inputs), batch.targets)
            loss.backward()
            return loss.detach()
        total = torch.zeros((), device=self._device)
        n_examples = batch.n_examples
        for piece in pieces(self._ranks.share(batch), self._n_pieces):
            loss = self._loss(self._forward(piece.inputs), piece.targets) * (piece.n_examples / n_examples)
            loss.backward()
            total += loss.detach()
        return self._gradients.sum(self._ranks, total)

    def _weights(self) -> Tensor:
        """A copy of all weights that are trained, (n_weights,)."""
        return torch.cat([weights.detach().flatten() for weights in self._model.parameters() if weights.requires_grad])


def _relative_change(before: Tensor, after: Tensor) -> Tensor:
    change: Tensor = torch.linalg.vector_norm(after - before) / torch.linalg.vector_norm(before)
    return change


def _too_large(name: str, number: float) -> str:
    return f"{name} was {number:.3g}, above the largest 32-bit float, {LARGEST:.3g},"

"""The optimization of a model: what every run that learns by gradients shares, whatever its data and its metrics.

A step is a fixed number of updates: an epoch, or an iteration of reinforcement learning. Every update sets the rates of the
schedule, and every step checks them against PyTorch's schedulers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, sqrt
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from objectives.contract import Divergence, GroupRate
from objectives.data.notes import log
from objectives.diagnosis.divergence import find_divergence
from objectives.parameters.choices import WITH_RATES_BY_LAYER
from objectives.parameters.steps import in_epochs
from objectives.training.batches import Batch
from objectives.training.forward import Forward
from objectives.training.gradients import Clipping
from objectives.training.hyperparameters import picked
from objectives.training.optimizers import OptimizerChoice, layer_groups, momentum_of, new_optimizer
from objectives.training.ranks import Ranks
from objectives.training.rate_audit import RateAudit
from objectives.training.schedules import Policy, Schedule, Span
from objectives.training.unfreezing import Unfreezing
from objectives.training.updates import Epoch, Updates

UPDATE_LOSSES = 1_000
"""Maximum number of losses of single updates that a run reports."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is known of a step once it has been evaluated; fields as those of `Measurement`."""

    step: int
    fraction: float
    in_warmup: bool
    ends_cycle: bool
    """Whether it is the last of a cycle of the schedule."""
    training_loss: float
    """The mean over its updates."""
    learning_rate: float
    group_rates: list[GroupRate]
    update_losses: list[tuple[int, float]]
    divergence: Divergence | None
    metrics: Mapping[str, float]
    """Of its updates: gradients, clipping, the size of the last update, and examples a second."""


class Optimization:
    """A model's optimizer under its schedule: trains step by step, and checks and measures each.

    params and settings: all of them (see `objectives/parameters`). loss: of the model's outputs and a batch's targets, a scalar.
    n_pieces: the number of microbatches that a batch, or the share of a rank, is computed in. ranks: None for one process.
    step_word: what a step is called in messages, and in names of parameters that count steps. loss_name, observed_name: what
    messages call the loss, and that which a step is judged by. Raises DataProblem when a setting does not fit the model.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Forward,
        loss: Callable[[Any, Any], Tensor],
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        span: Span,
        device: torch.device,
        *,
        n_pieces: int = 1,
        ranks: Ranks | None = None,
        step_word: str = "epoch",
        loss_name: str = "training loss",
        observed_name: str = "validation loss",
    ) -> None:
        self.span = span
        self.observed: list[float] = []
        """What every step was judged by, such as its validation loss: lower is better."""
        self.diverged = False
        self._model = model
        self._step_word = step_word
        self._loss_name = loss_name
        self._observed_name = observed_name
        self._batch_size: int = params["batch_size"]
        scale = _learning_rate_scale(params)
        learning_rate = params["learning_rate"] * scale
        unfreeze_every = params.get("unfreeze_every", 0)
        layer_decay = params["layer_decay"] if params["optimizer"] in WITH_RATES_BY_LAYER else 1.0
        groups = layer_groups(model, layer_decay, settings["learning_rate_multipliers"], unfreeze_every)
        policy = picked(Policy, in_epochs({**params, **settings}, step_word))
        warmup_start = 1 / scale if scale > 1 else 0.0
        self._schedule = Schedule(policy, span, warmup_start=warmup_start)
        choice = picked(OptimizerChoice, params)
        if (momentum := self._schedule.momentum(0)) is not None:
            choice = replace(choice, momentum=momentum)
        self._optimizer = new_optimizer(choice, groups, learning_rate, has_warmup=self._schedule.is_warmup(0))
        self._unfreezing = Unfreezing(groups, self._optimizer)
        log(*self._unfreezing.notes(unfreeze_every, span.updates // span.updates_per_epoch))
        self._new_audit = partial(
            RateAudit,
            policy,
            span,
            learning_rate,
            momentum_of(self._optimizer.param_groups[0]),
            groups,
            warmup_start=warmup_start,
        )
        self._audit = self._new_audit()
        self._updates = Updates(
            model,
            forward,
            loss,
            self._optimizer,
            self._schedule,
            picked(Clipping, params),
            learning_rate=learning_rate,
            n_pieces=n_pieces,
            device=device,
            ranks=ranks or Ranks(),
        )
        self._first_loss: float | None = None
        """The loss of the first update's batch: that of the untrained network."""

    @property
    def steps_done(self) -> int:
        return len(self.observed)

    @property
    def has_ended(self) -> bool:
        """Whether all steps are done, or the run has diverged."""
        return self.diverged or self.steps_done * self.span.updates_per_epoch >= self.span.updates

    def train(self, batches: Iterable[Batch]) -> Epoch:
        """Make the updates of a step, one for each batch. To be ended by `end_step`, once the model has been evaluated."""
        if self._unfreezing.begin_epoch(self.steps_done):
            self._updates.find_weights()
        first = self.steps_done * self.span.updates_per_epoch
        return self._updates.of_epoch(batches, first, first + self.span.updates_per_epoch - 1)

    def end_step(self, updates: Epoch, observed: float, guessing_loss: float | None) -> Step:
        """Check and measure what `train` has done.

        observed: what the step is judged by, lower is better. guessing_loss: the loss of a prediction that ignores the inputs;
        None: unknown.
        """
        first = self.steps_done * self.span.updates_per_epoch
        if len(updates.applied) == self.span.updates_per_epoch:  # else it ended early, diverged
            self._audit.check_epoch(updates.applied, observed)
        self.observed.append(observed)
        updates_done = self.steps_done * self.span.updates_per_epoch
        self._schedule.end_epoch(updates_done, observed)
        if self._first_loss is None:
            self._first_loss = updates.losses[0]
        divergence = find_divergence(
            updates.losses,
            observed,
            guessing_loss=_usual_loss(guessing_loss, self._first_loss),
            epoch=self.steps_done,
            epochs=self.span.updates // self.span.updates_per_epoch,
            updates_per_epoch=self.span.updates_per_epoch,
            overflow=updates.overflow,
            step_word=self._step_word,
            loss_name=self._loss_name,
            observed_name=self._observed_name,
        )
        self.diverged = divergence is not None
        return Step(
            step=self.steps_done,
            fraction=updates_done / self.span.updates,
            in_warmup=self._schedule.is_warmup(updates_done),
            ends_cycle=self._schedule.ends_cycle(updates_done),
            training_loss=fmean(updates.losses),
            learning_rate=updates.learning_rate,
            group_rates=[
                GroupRate(group=group["name"], learning_rate=group["lr"], momentum=momentum_of(group))
                for group in self._optimizer.param_groups
            ],
            update_losses=_thinned(updates.losses, first, self.span.updates),
            divergence=divergence,
            metrics={
                "gradient_norm": fmean(updates.gradient_norms),
                "gradient_norm_max": max(updates.gradient_norms),
                "clipped_share": updates.clipped_share,
                "gradient_flow": updates.gradient_flow,
                "update_to_weight_ratio": updates.update_to_weight_ratio,
                **updates.effective_rates,
                "samples_per_second": len(updates.losses) * self._batch_size / updates.seconds,
            },
        )

    def state_dict(self) -> dict[str, Any]:
        """The state, which further training changes: copy it."""
        return {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "validation_losses": self.observed,
            "first_loss": self._first_loss,
            "diverged": self.diverged,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, whose tensors further training changes."""
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.observed = state["validation_losses"]
        self._first_loss = state["first_loss"]
        self.diverged = state["diverged"]
        self._audit = self._new_audit()
        self._audit.skip(self.observed)


def _usual_loss(guessing_loss: float | None, first_loss: float) -> float:
    """The loss of guessing, or that of the untrained network if it is higher, which is not divergence.

    Infinite if the only one known is not above 0, as in some users' own losses: multiples of it would mean nothing.
    """
    if guessing_loss is None:
        return first_loss if first_loss > 0 else inf
    return max(guessing_loss, first_loss)


def _thinned(losses: list[float], first: int, updates: int) -> list[tuple[int, float]]:
    """The losses of a step that are reported: every n-th of the run, as (update, loss), updates counted from 1.

    first: the number of the step's first update, from 0. updates: those of the run.
    """
    every = ceil(updates / UPDATE_LOSSES)
    return [(update + 1, loss) for update, loss in enumerate(losses, start=first) if update % every == 0]


def _learning_rate_scale(params: Mapping[str, Any]) -> float:
    """The factor that scales the learning rate with the batch size."""
    times_larger: float = params["batch_size"] / params["reference_batch_size"]
    match params["learning_rate_scaling"]:
        case "linear":
            return times_larger
        case "sqrt":
            return sqrt(times_larger)
    return 1.0

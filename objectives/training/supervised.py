"""Supervised learning: the run that all objectives with inputs and targets share.

A step is an epoch: the training set in a new random order, divided into batches; an incomplete last batch is dropped. Every
update sets the rates of the schedule, and every epoch checks them against PyTorch's schedulers. The seed determines the initial
weights, the data order and dropout; on a CPU a run is reproducible bit for bit.
"""

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import ceil, sqrt
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from objectives.contract import DataProblem, GroupRate, Measurement
from objectives.data.examples import Examples, Sets
from objectives.diagnosis.divergence import find_divergence
from objectives.training.dead_units import watched
from objectives.training.early_stopping import EarlyStopping
from objectives.training.generators import named_generator, named_seed
from objectives.training.gradients import Clipping
from objectives.training.hyperparameters import picked
from objectives.training.optimizers import OptimizerChoice, layer_groups, momentum_of, new_optimizer
from objectives.training.rate_audit import RateAudit
from objectives.training.schedules import Policy, Schedule, Span
from objectives.training.task import NewModel, Task, initialized
from objectives.training.updates import Updates, in_precision

UPDATE_LOSSES = 1_000
"""Maximum number of losses of single updates that a run reports."""
EVALUATED_AT_ONCE = 1_024
"""Batch size for evaluation on the validation and test sets."""


class SupervisedRun:
    """A training run: iterating it trains, one epoch per item."""

    def __init__(
        self,
        task: Task,
        data: Sets,
        new_model: NewModel,
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        seed: int,
        device: torch.device,
    ) -> None:
        """params and settings: all of them (see `objectives/parameters`). Raises DataProblem when they do not fit the data."""
        self._task = task
        self._data = data
        self._device = device
        self._epochs: int = params["epochs"]
        self._batch_size: int = params["batch_size"]
        n_pieces = ceil(self._batch_size / (settings["microbatch_size"] or self._batch_size))
        n_examples = len(data.training)
        if self._batch_size > n_examples:
            raise DataProblem(f"batch_size {self._batch_size} exceeds the {n_examples} examples of the training set.")
        self._span = Span(
            updates=self._epochs * (n_examples // self._batch_size), updates_per_epoch=n_examples // self._batch_size
        )
        self._seed = seed
        self._order = named_generator(seed, "data order")
        self._dropout = named_generator(seed, "dropout", device)
        self._model = initialized(task, data, new_model, params, seed, self._dropout).to(device)
        if self._batch_size // n_pieces < 2 and any(isinstance(module, nn.BatchNorm1d) for module in self._model.modules()):
            raise DataProblem("batch norm needs at least 2 examples at once: raise batch_size or microbatch_size.")
        scale = _learning_rate_scale(params)
        learning_rate = params["learning_rate"] * scale
        groups = layer_groups(self._model, params["layer_decay"], settings["learning_rate_multipliers"])
        policy = picked(Policy, {**params, **settings})
        warmup_start = 1 / scale if scale > 1 else 0.0
        self._schedule = Schedule(policy, self._span, warmup_start=warmup_start)
        choice = picked(OptimizerChoice, params)
        if (momentum := self._schedule.momentum(0)) is not None:
            choice = replace(choice, momentum=momentum)
        self._optimizer = new_optimizer(choice, groups, learning_rate)
        self._new_audit = partial(
            RateAudit,
            policy,
            self._span,
            learning_rate,
            momentum_of(self._optimizer.param_groups[0]),
            [(group.name, group.multiplier) for group in groups],
            warmup_start=warmup_start,
        )
        self._audit = self._new_audit()
        self._precision = settings["precision"]
        self._updates = Updates(
            self._model,
            task.training_loss,
            self._optimizer,
            self._schedule,
            picked(Clipping, params),
            learning_rate=learning_rate,
            n_pieces=n_pieces,
            precision=self._precision,
            device=device,
        )
        self._early_stopping = EarlyStopping(params["early_stopping_patience"])
        self._validation_losses: list[float] = []
        self.guessing = {"training_loss": task.guessing_loss, "validation_loss": task.guessing_loss}
        """The values of these metrics for a model that predicts the same for every example."""
        self._first_loss: float | None = None
        """The loss of the first update's batch: that of the untrained network."""
        self._diverged = False

    def __iter__(self) -> Iterator[Measurement]:
        while self._epochs_done < self._epochs and not self._diverged and not self._early_stopping.has_stopped:
            yield self._step()
        if not self._diverged:
            self._early_stopping.restore(self._model)

    def state_dict(self) -> dict[str, Any]:
        """A deep copy of the state, which further training does not change."""
        return copy.deepcopy(
            {
                "model": self._model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "schedule": self._schedule.state_dict(),
                "early_stopping": self._early_stopping.state_dict(),
                "order": self._order.get_state(),
                "dropout": self._dropout.get_state(),
                "device": self._device.type,
                "validation_losses": self._validation_losses,
                "first_loss": self._first_loss,
                "diverged": self._diverged,
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # A copy: the optimizer would update the tensors of `state` in place.
        state = copy.deepcopy(state)
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._early_stopping.load_state_dict(state["early_stopping"])
        self._order.set_state(state["order"].cpu())
        if state["device"] == self._device.type:
            self._dropout.set_state(state["dropout"].cpu())
        else:  # the state of another type of generator cannot be loaded: reseed, but do not repeat the draws of the beginning
            self._dropout.manual_seed(named_seed(self._seed, f"dropout after epoch {len(state['validation_losses'])}"))
        self._validation_losses = state["validation_losses"]
        self._first_loss = state["first_loss"]
        self._diverged = state["diverged"]
        self._audit = self._new_audit()
        self._audit.skip(self._validation_losses)

    def evaluate(self) -> dict[str, float]:
        loss, score = self._loss_and_score(self._data.test)
        return {"test_loss": loss, f"test_{self._task.score_name}": score}

    @property
    def _epochs_done(self) -> int:
        return len(self._validation_losses)

    def _step(self) -> Measurement:
        started = time.perf_counter()
        first = self._epochs_done * self._span.updates_per_epoch
        epoch = self._updates.of_epoch(self._batches(), first, first + self._span.updates_per_epoch - 1)
        trained = time.perf_counter()
        with watched(self._model) as dead:
            validation_loss, validation_score = self._loss_and_score(self._data.validation)
        if len(epoch.applied) == self._span.updates_per_epoch:  # else it ended early, diverged
            self._audit.check_epoch(epoch.applied, validation_loss)
        self._validation_losses.append(validation_loss)
        step, updates_done = self._epochs_done, self._epochs_done * self._span.updates_per_epoch
        self._schedule.end_epoch(updates_done, validation_loss)
        self._early_stopping.observe(step, validation_loss, self._model)
        if self._first_loss is None:
            self._first_loss = epoch.losses[0]
        divergence = find_divergence(
            epoch.losses,
            validation_loss,
            # The loss of an untrained network may be higher than that of guessing, which is not divergence.
            guessing_loss=max(self._task.guessing_loss, self._first_loss),
            epoch=step,
            epochs=self._epochs,
            updates_per_epoch=self._span.updates_per_epoch,
            overflow=epoch.overflow,
        )
        self._diverged = divergence is not None
        training_loss = fmean(epoch.losses)
        best_step = self._early_stopping.best_step
        return Measurement(
            step=step,
            fraction=step / self._epochs,
            in_warmup=self._schedule.is_warmup(updates_done),
            metrics={
                "training_loss": training_loss,
                "validation_loss": validation_loss,
                f"validation_{self._task.score_name}": validation_score,
                "generalization_gap": validation_loss - training_loss,
                "gradient_norm": fmean(epoch.gradient_norms),
                "gradient_norm_max": max(epoch.gradient_norms),
                "clipped_share": epoch.clipped_share,
                "gradient_flow": epoch.gradient_flow,
                "update_to_weight_ratio": epoch.update_to_weight_ratio,
                "dead_units": dead.share().item(),
                "samples_per_second": len(epoch.losses) * self._batch_size / (trained - started),
            },
            learning_rate=epoch.learning_rate,
            seconds=time.perf_counter() - started,
            divergence=divergence,
            group_rates=[
                GroupRate(group=group["name"], learning_rate=group["lr"], momentum=momentum_of(group))
                for group in self._optimizer.param_groups
            ],
            update_losses=self._thinned(epoch.losses),
            best_step=best_step if best_step != step else None,
        )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The training set in a new random order, as batches (inputs, targets) of batch_size examples each."""
        training = self._data.training
        order = torch.randperm(len(training), generator=self._order)
        used = order[: self._span.updates_per_epoch * self._batch_size].to(self._device)
        return zip(training.inputs[used].split(self._batch_size), training.targets[used].split(self._batch_size), strict=True)

    @torch.inference_mode()
    def _loss_and_score(self, examples: Examples) -> tuple[float, float]:
        self._model.eval()
        with in_precision(self._precision, self._device):
            outputs = torch.cat([self._model(batch) for batch in examples.inputs.split(EVALUATED_AT_ONCE)]).float()
        loss = self._task.validation_loss(outputs, examples.targets)
        return loss.item(), self._task.score(outputs, examples.targets).item()

    def _thinned(self, losses: list[float]) -> list[tuple[int, float]]:
        """The losses of the last epoch that are reported: every n-th of the run, as (update, loss), updates counted from 1."""
        every = ceil(self._span.updates / UPDATE_LOSSES)
        first = (self._epochs_done - 1) * self._span.updates_per_epoch
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

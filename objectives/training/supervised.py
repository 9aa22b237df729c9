"""Supervised learning: the run that all objectives with inputs and targets share.

A step is an epoch: the training set in a new random order, divided into batches; an incomplete last batch is dropped. Every
update sets the rates of the schedule, and every epoch checks them against PyTorch's schedulers. The seed determines the initial
weights, the data order, and what the global generators draw, such as dropout; on a CPU a run is reproducible bit for bit.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import ceil, inf, sqrt
from statistics import fmean
from typing import Any

import torch
from torch import nn

from objectives.contract import DataProblem, GroupRate, Measurement
from objectives.diagnosis.divergence import find_divergence
from objectives.training.dead_units import watched
from objectives.training.early_stopping import EarlyStopping
from objectives.training.evaluation import Evaluation, evaluate
from objectives.training.forward import Forward
from objectives.training.generators import named_generator, named_seed
from objectives.training.gradients import Clipping
from objectives.training.hyperparameters import picked
from objectives.training.network import new_network
from objectives.training.optimizers import OptimizerChoice, layer_groups, momentum_of, new_optimizer
from objectives.training.rate_audit import RateAudit
from objectives.training.schedules import Policy, Schedule, Span
from objectives.training.sets import ThreeSets
from objectives.training.sources import Source
from objectives.training.task import Task
from objectives.training.updates import Updates

UPDATE_LOSSES = 1_000
"""Maximum number of losses of single updates that a run reports."""


class SupervisedRun:
    """A training run: iterating it trains, one epoch per item."""

    def __init__(
        self,
        task: Task,
        data: ThreeSets,
        new_model: Callable[[], nn.Module],
        params: Mapping[str, Any],
        settings: Mapping[str, Any],
        seed: int,
        device: torch.device,
    ) -> None:
        """data: on the device. params and settings: all of them (see `objectives/parameters`).

        Raises DataProblem when they do not fit the data.
        """
        self._task = task
        self._data = data
        self._device = device
        self._epochs: int = params["epochs"]
        self._batch_size: int = params["batch_size"]
        n_pieces = ceil(self._batch_size / (settings["microbatch_size"] or self._batch_size))
        n_examples = len(data.training)
        if self._batch_size > n_examples:
            raise DataProblem(f"batch_size {self._batch_size} exceeds the {n_examples} examples of the training set.")
        self._evaluated_at_once = ceil(self._batch_size / n_pieces)
        self._span = Span(
            updates=self._epochs * (n_examples // self._batch_size), updates_per_epoch=n_examples // self._batch_size
        )
        self._seed = seed
        model, self._randomness = new_network(new_model, data, params, seed)
        self._model = model.to(device)
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
        self._forward = Forward(self._model, settings["precision"], device)
        self._updates = Updates(
            self._model,
            self._forward,
            task.training_loss,
            self._optimizer,
            self._schedule,
            picked(Clipping, params),
            learning_rate=learning_rate,
            n_pieces=n_pieces,
            device=device,
        )
        self._order = named_generator(seed, "data order")
        with self._randomness.in_use():  # a DataLoader draws when it is made
            self._new_epoch = data.training.training(self._batch_size, self._order, device)
        self._early_stopping = EarlyStopping(params["early_stopping_patience"])
        self._validation_losses: list[float] = []
        self._guessing_loss: float | None = None
        self._first_loss: float | None = None
        """The loss of the first update's batch: that of the untrained network."""
        self._diverged = False

    @property
    def guessing(self) -> dict[str, float]:
        """The values of metrics for a model that predicts the same for every example; empty where they are unknown."""
        return {} if self._guessing_loss is None else dict.fromkeys(("training_loss", "validation_loss"), self._guessing_loss)

    def __iter__(self) -> Iterator[Measurement]:
        while self._epochs_done < self._epochs and not self._diverged and not self._early_stopping.has_stopped:
            with self._randomness.in_use():
                measurement = self._step()
            yield measurement
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
                "randomness": self._randomness.state_dict(),
                "device": self._device.type,
                "validation_losses": self._validation_losses,
                "first_loss": self._first_loss,
                "guessing_loss": self._guessing_loss,
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
        if "randomness" in state:  # else it was taken when dropout had a generator of its own, whose draws are not repeated
            self._randomness.load_state_dict(state["randomness"])
        if state["device"] != self._device.type:  # another kind of generators: reseed, but do not draw the beginning's numbers
            self._randomness.seed(named_seed(self._seed, f"dropout after epoch {len(state['validation_losses'])}"))
        self._validation_losses = state["validation_losses"]
        self._first_loss = state["first_loss"]
        self._guessing_loss = state.get("guessing_loss")
        self._diverged = state["diverged"]
        self._audit = self._new_audit()
        self._audit.skip(self._validation_losses)

    def evaluate(self) -> dict[str, float]:
        with self._randomness.in_use():
            found = self._evaluated(self._data.test)
        return {"test_loss": found.loss, f"test_{self._task.score_name}": found.score}

    @property
    def _epochs_done(self) -> int:
        return len(self._validation_losses)

    def _step(self) -> Measurement:
        started = time.perf_counter()
        first = self._epochs_done * self._span.updates_per_epoch
        epoch = self._updates.of_epoch(self._new_epoch(), first, first + self._span.updates_per_epoch - 1)
        trained = time.perf_counter()
        with watched(self._model) as dead:
            found = self._evaluated(self._data.validation)
        validation_loss, self._guessing_loss = found.loss, found.guessing_loss
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
            guessing_loss=_usual_loss(self._guessing_loss, self._first_loss),
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
                f"validation_{self._task.score_name}": found.score,
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
            update_losses=_thinned(epoch.losses, first, self._span.updates),
            best_step=best_step if best_step != step else None,
        )

    def _evaluated(self, examples: Source) -> Evaluation:
        self._model.eval()
        return evaluate(self._forward, self._task, examples.evaluation(self._evaluated_at_once, self._device))


def _usual_loss(guessing_loss: float | None, first_loss: float) -> float:
    """The loss of guessing, or that of the untrained network if it is higher, which is not divergence.

    Infinite if the only one known is not above 0, as in some users' own losses: multiples of it would mean nothing.
    """
    if guessing_loss is None:
        return first_loss if first_loss > 0 else inf
    return max(guessing_loss, first_loss)


def _thinned(losses: list[float], first: int, updates: int) -> list[tuple[int, float]]:
    """The losses of an epoch that are reported: every n-th of the run, as (update, loss), updates counted from 1.

    first: the number of the epoch's first update, from 0. updates: those of the run.
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

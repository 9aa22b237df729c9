"""Supervised learning: the run that all objectives with inputs and targets share.

A step is an epoch: the training set in a new random order, divided into batches; an incomplete last batch is dropped. The seed
determines the initial weights, the data order, and what the global generators draw, such as dropout; on a CPU a run is
reproducible bit for bit. Where the process is one of several ranks, each trains on its share of every batch.
"""

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from objectives.contract import DataProblem, Measurement
from objectives.training.dead_units import watched
from objectives.training.early_stopping import EarlyStopping
from objectives.training.evaluation import Evaluation, evaluate
from objectives.training.forward import Forward
from objectives.training.generators import named_generator, named_seed
from objectives.training.network import dropout_of, new_network, synchronized
from objectives.training.optimization import Optimization
from objectives.training.ranks import Ranks, here
from objectives.training.schedules import Span
from objectives.training.sets import ThreeSets
from objectives.training.snapshots import Ensemble, Snapshots
from objectives.training.sources import Source
from objectives.training.task import Task


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
        *,
        pretrained: Mapping[str, Tensor] | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        """data: on the device. params and settings: all of them (see `objectives/parameters`). pretrained: as of `new_network`.

        ranks: None for those of which this process is one. Raises DataProblem when they do not fit the data.
        """
        self._task = task
        self._data = data
        self._device = device
        self._batch_size: int = params["batch_size"]
        self._ranks = ranks or here()
        n_examples = len(data.training)
        if self._batch_size > n_examples:
            raise DataProblem(f"batch_size {self._batch_size} exceeds the {n_examples} {task.example_word} of the training set.")
        if self._batch_size < self._ranks.n:
            raise DataProblem(f"batch_size {self._batch_size} cannot be divided between {self._ranks.n} processes.")
        share = ceil(self._batch_size / self._ranks.n)
        n_pieces = ceil(share / (settings["microbatch_size"] or share))
        self._evaluated_at_once = ceil(share / n_pieces)
        self._seed = seed
        model, self._randomness = new_network(new_model, data, params, seed, pretrained, self._ranks)
        self._model = synchronized(model, self._ranks, device).to(device)
        if self._batch_size // (self._ranks.n * n_pieces) < 2 and any(
            isinstance(module, nn.BatchNorm1d) for module in self._model.modules()
        ):
            raise DataProblem("batch norm needs at least 2 examples at once: raise batch_size or microbatch_size.")
        self._forward = Forward(self._model, settings["precision"], device)
        updates_per_epoch = n_examples // self._batch_size
        self._optimization = Optimization(
            self._model,
            self._forward,
            task.training_loss,
            params,
            settings,
            Span(updates=params["epochs"] * updates_per_epoch, updates_per_epoch=updates_per_epoch),
            device,
            n_pieces=n_pieces,
            ranks=self._ranks,
        )
        self._order = named_generator(seed, "data order")
        with self._randomness.in_use():  # a DataLoader draws when it is made
            self._new_epoch = data.training.training(self._batch_size, self._order, device)
        self._early_stopping = EarlyStopping(params["early_stopping_patience"])
        self._snapshots = Snapshots(params.get("snapshot_ensemble", 0))
        self._guessing_loss: float | None = None

    @property
    def guessing(self) -> dict[str, float]:
        """The values of metrics for a model that predicts the same for every example; empty where they are unknown."""
        return {} if self._guessing_loss is None else dict.fromkeys(("training_loss", "validation_loss"), self._guessing_loss)

    def __iter__(self) -> Iterator[Measurement]:
        optimization = self._optimization
        while not optimization.has_ended and not self._early_stopping.has_stopped:
            with self._randomness.in_use():
                measurement = self._step()
            yield measurement
        if not optimization.diverged:
            self._early_stopping.restore(self._model)

    def state_dict(self) -> dict[str, Any]:
        """A deep copy of the state, which further training does not change."""
        return copy.deepcopy(
            {
                **self._optimization.state_dict(),
                "early_stopping": self._early_stopping.state_dict(),
                "snapshots": self._snapshots.state_dict(),
                "order": self._order.get_state(),
                "randomness": self._randomness.state_dict(),
                "device": self._device.type,
                "guessing_loss": self._guessing_loss,
            }
        )

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # A copy: the optimizer would update the tensors of `state` in place.
        state = copy.deepcopy(state)
        self._optimization.load_state_dict(state)
        self._early_stopping.load_state_dict(state["early_stopping"])
        self._snapshots.load_state_dict(state.get("snapshots", []))
        self._order.set_state(state["order"].cpu())
        if "randomness" in state:  # else it was taken when dropout had a generator of its own, whose draws are not repeated
            self._randomness.load_state_dict(state["randomness"])
        if state["device"] != self._device.type:  # another kind of generators: reseed, but do not draw the beginning's numbers
            self._randomness.seed(
                named_seed(self._seed, f"{dropout_of(self._ranks)} after epoch {self._optimization.steps_done}")
            )
        self._guessing_loss = state.get("guessing_loss")

    def evaluate(self) -> dict[str, float]:
        with self._randomness.in_use():
            found = self._evaluated(self._data.test)
            ensemble = self._of_ensemble(self._data.test, "test")
        return {"test_loss": found.loss, f"test_{self._task.score_name}": found.score, **ensemble}

    def _step(self) -> Measurement:
        started = time.perf_counter()
        updates = self._optimization.train(self._new_epoch())
        with watched(self._model) as dead:
            found = self._evaluated(self._data.validation)
        self._guessing_loss = found.guessing_loss
        step = self._optimization.end_step(updates, found.loss, found.guessing_loss)
        self._early_stopping.observe(step.step, found.loss, self._model)
        best_step = self._early_stopping.best_step
        return Measurement(
            step=step.step,
            fraction=step.fraction,
            in_warmup=step.in_warmup,
            metrics={
                "training_loss": step.training_loss,
                "validation_loss": found.loss,
                f"validation_{self._task.score_name}": found.score,
                "generalization_gap": found.loss - step.training_loss,
                **step.metrics,
                "dead_units": dead.share(self._ranks).item(),
                **(self._end_cycle(found.loss) if step.ends_cycle and step.divergence is None else {}),
            },
            learning_rate=step.learning_rate,
            seconds=time.perf_counter() - started,
            divergence=step.divergence,
            group_rates=step.group_rates,
            update_losses=step.update_losses,
            best_step=best_step if best_step != step.step else None,
        )

    def _end_cycle(self, validation_loss: float) -> dict[str, float]:
        distance = self._snapshots.take(self._model)
        of_snapshot = {"cycle_validation_loss": validation_loss} | ({} if distance is None else {"snapshot_distance": distance})
        return of_snapshot | self._of_ensemble(self._data.validation, "validation")

    def _of_ensemble(self, examples: Source, name: str) -> dict[str, float]:
        """Loss and score of the snapshots' ensemble; empty if there is none."""
        if not (states := self._snapshots.averaged):
            return {}
        ensemble = Ensemble(self._model, self._forward, states, self._task.average)
        found = evaluate(ensemble, self._task, examples.evaluation(self._evaluated_at_once, self._device), self._ranks)
        ensemble.restore()
        return {f"ensemble_{name}_loss": found.loss, f"ensemble_{name}_{self._task.score_name}": found.score}

    def _evaluated(self, examples: Source) -> Evaluation:
        self._model.eval()
        batches = examples.evaluation(self._evaluated_at_once, self._device)
        return evaluate(self._forward, self._task, batches, self._ranks)

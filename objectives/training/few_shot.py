"""Few-shot learning as supervised learning: an example is an episode, whose inputs are its support set and its queries.

So an update is a meta-update on a batch of episodes, an epoch a pass over the training episodes, and all else is as it is
elsewhere. The validation loss is that of queries after adapting to their support sets, and so is the training loss.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from objectives.data.episodes import Episodes, EpisodeSets
from objectives.models.few_shot import Adaptation, Adapted, FewShotLearner
from objectives.models.layers import Between
from objectives.models.mlp import mlp
from objectives.training.hyperparameters import picked
from objectives.training.losses import Loss
from objectives.training.sets import ThreeSets, three_sets
from objectives.training.supervised import SupervisedRun
from objectives.training.task import Task


def few_shot_run(
    task: Task,
    episodes: EpisodeSets,
    n_outputs: int,
    params: Mapping[str, Any],
    settings: Mapping[str, Any],
    seed: int,
    device: torch.device,
) -> SupervisedRun:
    """A run that learns to adapt. task: of outputs (n, n_outputs) and targets (n,). Raises DataProblem."""
    new_model = partial(new_learner, episodes.validation, task.validation_loss, n_outputs, params, settings)
    data = _sets(episodes, settings["algorithm"]).to(device)
    return SupervisedRun(of_queries(task), data, new_model, params, settings, seed, device)


def new_learner(
    evaluated: Episodes, loss: Loss, n_outputs: int, params: Mapping[str, Any], settings: Mapping[str, Any]
) -> FewShotLearner:
    """A learner of the size that the settings ask for. evaluated: episodes as those that it will be evaluated on."""
    network = new_network(evaluated, n_outputs, params, settings)
    how = picked(Adaptation, {**params, **settings})
    return FewShotLearner(network, loss, how, examples_per_step=evaluated.support_targets.shape[1])


def new_network(episodes: Episodes, n_outputs: int, params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Sequential:
    """The network that a learner adapts."""
    between = Between(activation=params["activation"], normalization="none", dropout=0.0)
    size = {"hidden_layers": settings["hidden_layers"], "width": settings["width"]}
    return mlp(tuple(episodes.support_inputs.shape[2:]), n_outputs, between, **size)


def of_queries(task: Task) -> Task:
    """The same task, of what a learner returns for episodes and of targets (episodes, queries)."""

    def of_adapted(loss: Callable[[Any, Any], Tensor]) -> Callable[[Adapted, Tensor], Tensor]:
        return lambda adapted, targets: loss(adapted.outputs.flatten(0, 1), targets.flatten()) + adapted.surrogate

    def predictions(adapted: Adapted, targets: Tensor) -> Tensor:
        found: Tensor = task.predictions(adapted.outputs.flatten(0, 1), targets.flatten())
        return found.reshape(targets.shape)

    def average(found: Sequence[Adapted]) -> Adapted:
        outputs: Tensor = task.average([adapted.outputs.flatten(0, 1) for adapted in found])
        return Adapted(outputs.unflatten(0, found[0].outputs.shape[:2]), found[0].surrogate)

    return replace(
        task,
        training_loss=of_adapted(task.training_loss),
        validation_loss=of_adapted(task.validation_loss),
        predictions=predictions,
        score=lambda predicted, targets: task.score(predicted.flatten(), targets.flatten()),
        example_word="episodes",
        average=average,
    )


def _sets(episodes: EpisodeSets, algorithm: str) -> ThreeSets:
    # Reptile judges by nothing in training, so it adapts to all examples that there are.
    training = episodes.training.with_queries_in_support() if algorithm == "reptile" else episodes.training
    return three_sets(tuple(map(_examples, (training, episodes.validation, episodes.test))))


def _examples(episodes: Episodes) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    return (episodes.support_inputs, episodes.support_targets, episodes.query_inputs), episodes.query_targets

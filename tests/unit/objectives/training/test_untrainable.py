"""Users' functions that cannot be trained, which is known before any trial."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from objectives.contract import DataProblem
from objectives.training.functions import Functions
from tests.unit.objectives.training.users_functions import CLASSES, PARTS, VALUES, X, functions, in_three, network, tried


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(X[0], CLASSES[0])])


def refused(data: Any = None, model: Any = network, **more: Any) -> Functions:
    return functions(data, model, **more)


def with_nan(place: int) -> Tensor:
    changed = X.clone()
    changed[place, 1] = torch.nan
    return changed


WRONG: dict[str, tuple[Functions, str]] = {
    "two sets": (refused(in_three(lambda part: X[part])[:2]), "data returned a list of 2: it must return three sets"),
    "none": (Functions(model=network, data=lambda _: None), "data returned None: it must return three sets"),
    "a set of text": (refused(["a", "b", "c"]), "data: the training set is a value of type str: it must be (inputs, targets)"),
    "other lengths": (
        refused([(X, CLASSES[:5])] * 3),
        "data: the training set has inputs of shape (96, 4) and targets of shape (5,)",
    ),
    "empty": (refused([(X[:0], CLASSES[:0])] * 3), "data: the training set is empty: it must hold at least one example."),
    "endless": (refused([Endless()] * 3), "data: the training set is a Endless without a length"),
    "batch sampler": (
        refused([DataLoader(TensorDataset(X, CLASSES), batch_sampler=[[0, 1]])] * 3),
        "data: the training set's DataLoader makes its own batches: give it batch_size instead of batch_sampler",
    ),
    "words": (refused([(np.array(["a"] * 96), CLASSES)] * 3), "data: the training set's inputs are an array of <U1"),
    "a batch of one": (refused([DataLoader([(X[0],)] * 3)] * 3), "is a list of 1: it must be (inputs, targets)"),
    "no module": (refused(model=lambda *_: 3), "model returned a value of type int: it must return a torch.nn.Module."),
    "no weights": (refused(model=lambda *_: nn.ReLU()), "The model has no weights to train"),
    "sparse": (
        refused(in_three(lambda part: CLASSES[part]), lambda *_: nn.Sequential(nn.Embedding(2, 2, sparse=True))),
        "The embedding 0 has sparse gradients, which cannot be clipped or measured: make it without sparse=True.",
    ),
    "64 bits": (
        refused(model=lambda *_: nn.Linear(4, 2).double()),
        "The weights weight are float64: weights that are trained must",
    ),
    "shapes": (
        refused(model=lambda *_: nn.Linear(4, 1)),
        "The outputs have the shape (32, 1) and the integer targets (32,): the default loss takes outputs (n, classes)",
    ),
    "classes": (
        refused([*in_three(lambda part: X[part])[:2], (X[PARTS[2]], torch.arange(16))]),
        "The targets are classes from 0 to 15, and the model has 2 outputs: classes must be from 0 to 1.",
    ),
    "a class below 0": (
        refused([DataLoader(TensorDataset(X, CLASSES - 1))] * 3),
        "The targets are classes from -1 to 0, and the model has 2 outputs: classes must be from 0 to 1.",
    ),
    "shapes of values": (
        refused(in_three(lambda part: X[part], VALUES), lambda *_: nn.Linear(4, 3)),
        "The outputs have the shape (32, 3) and the targets, which are floats, (32, 1)",
    ),
    "outputs": (
        refused(model=lambda *_: OfTuple()),
        "The model returned a tuple of 2: write a function loss(outputs, targets) that takes it.",
    ),
    "loss": (refused(loss=lambda *_: 3.0), "loss returned a value of type float: it must return a scalar tensor"),
    "loss of all": (
        refused(loss=lambda outputs, _: outputs[:, 0]),
        "loss returned a tensor of shape (32,): it must return a scalar",
    ),
    "loss of nothing": (
        refused(loss=lambda outputs, _: outputs.detach().mean()),
        "The loss does not depend on the model's weights",
    ),
    "a test set of another width": (
        refused([*in_three(lambda part: X[part])[:2], (X[PARTS[2], :3], CLASSES[PARTS[2]])]),
        "mat1 and mat2 shapes cannot be multiplied (16x3 and 4x16)",
    ),
    "equal targets of a test set": (
        refused([*in_three(lambda part: X[part], VALUES)[:2], (X[:5], torch.ones(5, 1))], lambda *_: nn.Linear(4, 1)),
        "All 5 targets of the test set are equal: R2 has no meaning there.",
    ),
    "equal targets that are loaded": (
        refused(
            [*in_three(lambda part: X[part], VALUES)[:2], DataLoader(TensorDataset(X[:5], torch.ones(5, 1)), 2)],
            lambda *_: nn.Linear(4, 1),
        ),
        "All 5 targets of the test set are equal: R2 has no meaning there.",
    ),
    "NaN far in the training set": (
        refused(in_three(lambda part: with_nan(50)[part])),
        "The loss of the untrained model is nan on a batch of the training set: its example 50, counted from 0, holds NaN",
    ),
    "NaN in the test set": (
        refused(in_three(lambda part: with_nan(95)[part])),
        "The loss of the untrained model is nan on a batch of the test set: its example 15, counted from 0, holds NaN",
    ),
    "an infinite loss": (
        refused(loss=lambda outputs, _: outputs.sum() / 0),
        "inf on a batch of the training set: look at the size of the inputs, at the model's first outputs, and at the loss",
    ),
    "score": (refused(score=lambda outputs, _: outputs), "score returned a tensor of shape (16, 2): it must return one number"),
}


class OfTuple(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(inputs), inputs


@pytest.mark.parametrize("how", WRONG)
def test_what_cannot_be_trained_is_one_sentence(how: str) -> None:
    of, said = WRONG[how]
    with pytest.raises((DataProblem, RuntimeError)) as raised:
        tried(of)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, RuntimeError) or raised.value.for_every_trial


def test_a_score_that_a_batch_is_too_small_for_is_tried_on_the_whole_set() -> None:
    """By the way: what it raises for the whole set is told."""

    def recall(outputs: Tensor, targets: Tensor) -> float:
        return float((outputs.argmax(1) * targets).sum() / (1 / (1 / int(targets.sum()))))

    sorted_by_class = [(X[order], CLASSES[order]) for order in (torch.argsort(CLASSES),)] * 3
    assert tried(functions(sorted_by_class, score=recall)).score_name == "score"
    with pytest.raises(ZeroDivisionError):
        tried(functions([(X, torch.zeros(96, dtype=torch.int64))] * 3, score=recall))


def test_a_model_may_know_what_to_do_with_nan() -> None:
    class Filled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs: Tensor = self.layer(inputs.nan_to_num())
            return outputs

    assert tried(functions(in_three(lambda part: with_nan(50)[part]), lambda *_: Filled())).score_name == "accuracy"

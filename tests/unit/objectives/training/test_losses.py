from math import log
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from torch import Tensor

from objectives.training.losses import classification_loss, guessing_classes_loss, guessing_values_loss, regression_loss

CLASSES = torch.tensor([0, 2, 1, 1, 2, 0, 2])
LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ONE_HOT = np.eye(3)[CLASSES]
VALUES = torch.tensor([-1.5, 0.25, 1.25, 3.0, -3.0])
OUTPUTS = torch.tensor([[-1.0], [0.0], [-2.0], [3.5], [0.5]])

each_classification_loss = pytest.mark.parametrize("name", ["cross-entropy", "binary-cross-entropy", "mse"])


def softmax(logits: Tensor) -> Any:
    powers = np.exp(logits.numpy())
    return powers / powers.sum(axis=1, keepdims=True)


def lowest(loss_of_constants: Any, n_constants: int) -> float:
    """The lowest loss that constants can have, found by Newton's method (L-BFGS) from arbitrary ones."""
    constants = torch.linspace(-1, 2, n_constants, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([constants], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = loss_of_constants(constants)
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    return closure()


def test_cross_entropy_is_that_of_the_softmax_in_nats() -> None:
    loss = classification_loss("cross-entropy", 3)(LOGITS, CLASSES)
    assert loss.item() == pytest.approx(log_loss(CLASSES, softmax(LOGITS)))


def test_binary_cross_entropy_is_the_mean_over_the_classes_of_one_against_all_others() -> None:
    loss = classification_loss("binary-cross-entropy", 3)(LOGITS, CLASSES)
    sigmoids = 1 / (1 + np.exp(-LOGITS.numpy()))
    assert loss.item() == pytest.approx(np.mean([log_loss(ONE_HOT[:, k], sigmoids[:, k]) for k in range(3)]))


def test_squared_error_of_a_classification_compares_logits_with_zeros_and_a_one() -> None:
    assert classification_loss("mse", 3)(LOGITS, CLASSES).item() == pytest.approx(mean_squared_error(ONE_HOT, LOGITS))


@pytest.mark.parametrize("smoothing", [0.1, 0.5])
def test_label_smoothing_spreads_a_part_of_the_target_evenly_over_all_classes(smoothing: float) -> None:
    loss = classification_loss("cross-entropy", 3, smoothing)(LOGITS, CLASSES)
    targets = (1 - smoothing) * ONE_HOT + smoothing / 3
    assert loss.item() == pytest.approx(-(targets * np.log(softmax(LOGITS))).sum(axis=1).mean())


@pytest.mark.parametrize("name", ["binary-cross-entropy", "mse"])
def test_label_smoothing_is_for_cross_entropy_alone(name: str) -> None:
    smoothed, plain = (classification_loss(name, 3, smoothing)(LOGITS, CLASSES) for smoothing in (0.5, 0.0))
    assert smoothed.item() == plain.item()


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@each_classification_loss
def test_guessing_costs_what_the_best_outputs_that_are_the_same_for_every_example_cost(name: str, n_classes: int) -> None:
    loss = classification_loss(name, n_classes)
    every_class_twice = torch.arange(n_classes).repeat(2)
    best = lowest(lambda constants: loss(constants.expand(2 * n_classes, -1), every_class_twice), n_classes)
    assert guessing_classes_loss(name, n_classes) == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("n_classes", [2, 10, 1000])
def test_guessing_costs_the_logarithm_of_the_number_of_classes_under_cross_entropy(n_classes: int) -> None:
    assert guessing_classes_loss("cross-entropy", n_classes) == log(n_classes)


@pytest.mark.parametrize(("name", "theirs"), [("mse", mean_squared_error), ("mae", mean_absolute_error)])
def test_a_regression_loss_is_scikit_learns(name: str, theirs: Any) -> None:
    assert regression_loss(name)(OUTPUTS, VALUES).item() == pytest.approx(theirs(VALUES, OUTPUTS.squeeze(1)))


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0, 100.0])
def test_the_loss_of_huber_is_quadratic_up_to_delta_and_linear_beyond(delta: float) -> None:
    errors = np.abs(VALUES.numpy() - OUTPUTS.squeeze(1).numpy())
    expected = np.where(errors <= delta, errors**2 / 2, delta * (errors - delta / 2)).mean()
    assert regression_loss("huber", delta)(OUTPUTS, VALUES).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["mse", "mae", "huber"])
def test_guessing_costs_what_the_best_constant_costs_where_values_lie_evenly_about_their_mean(name: str) -> None:
    loss, values = regression_loss(name), torch.tensor([-2.0, -0.5, -0.1, 0.1, 0.5, 2.0], dtype=torch.float64)
    constants = np.linspace(-2, 2, 401)
    best = min(loss(torch.full((6, 1), constant, dtype=torch.float64), values).item() for constant in constants)
    assert guessing_values_loss(loss, values) == pytest.approx(best)


def test_guessing_costs_what_the_best_constant_costs_under_the_squared_error_however_values_lie() -> None:
    loss, values = regression_loss("mse"), torch.tensor([0.0, 0.0, 0.0, 4.0], dtype=torch.float64)
    assert guessing_values_loss(loss, values) == pytest.approx(lowest(lambda constant: loss(constant.expand(4, 1), values), 1))


@pytest.mark.parametrize("name", ["mae", "huber"])
def test_guessing_costs_what_the_mean_value_costs_under_other_losses(name: str) -> None:
    loss, values = regression_loss(name, 0.5), torch.tensor([0.0, 0.0, 0.0, 4.0])
    assert guessing_values_loss(loss, values) == {"mae": 1.5, "huber": (3 * 0.375 + 1.375) / 4}[name]


@pytest.mark.parametrize("loss", [classification_loss, guessing_classes_loss, lambda name, _n: regression_loss(name)])
def test_an_unknown_loss_is_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match="there is no loss 'hinge'"):
        loss("hinge", 3)

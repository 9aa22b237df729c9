"""The two objectives on tables; what they share with images is tested there."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import r2_score

from objectives.contract import DataProblem, Run
from objectives.data.tables import diabetes
from objectives.tasks import tabular_classification, tabular_regression
from objectives.training.supervised import SupervisedRun
from tests.unit.objectives.rounding import EPS
from tests.unit.objectives.runs import train


def classify(dataset: str = "breast-cancer", fold: int = 0, **params: Any) -> Run:
    return tabular_classification.start({"epochs": 5} | params, {"dataset": dataset, "fold": fold}, 0, "cpu", 1)


def predict(fold: int = 0, **params: Any) -> Run:
    return tabular_regression.start(params, {"fold": fold}, 0, "cpu", 1)


@pytest.mark.parametrize("dataset", ["breast-cancer", "wine"])
def test_a_table_is_learned(dataset: str) -> None:
    run = classify(dataset)
    *_, last = train(run)
    assert last.metrics["validation_accuracy"] > 0.9
    assert run.evaluate()["test_accuracy"] > 0.9


def test_a_number_is_learned() -> None:
    run = predict()
    *_, last = train(run)
    assert last.metrics["validation_r2"] > 0.2
    assert run.evaluate()["test_r2"] > 0.2


def test_every_fold_is_another_test_set() -> None:
    assert len({train(classify(fold=fold, epochs=1))[0].metrics["training_loss"] for fold in range(5)}) == 5


@pytest.mark.parametrize(
    ("loss", "activation", "normalization", "initialization"),
    [
        *product(["cross-entropy", "binary-cross-entropy", "mse"], ["relu", "sigmoid"], ["none", "batch"], ["default"]),
        *product(["cross-entropy"], ["leaky-relu", "gelu", "tanh"], ["layer"], ["orthogonal", "xavier-normal"]),
    ],
)
def test_every_ingredient_learns(loss: str, activation: str, normalization: str, initialization: str) -> None:
    choices = {"activation": activation, "normalization": normalization, "initialization": initialization}
    run = classify(loss=loss, optimizer="adam", learning_rate=0.01, dropout=0.1, **choices)
    *_, last = train(run)
    assert last.divergence is None
    assert last.metrics["validation_accuracy"] > 0.9


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_the_first_loss_of_regression_is_that_of_answering_with_the_mean(loss: str) -> None:
    [first, *_] = train(predict(loss=loss, learning_rate=1e-9, epochs=1))
    targets = diabetes().training.targets
    huber = torch.where(targets.abs() < 1, targets.square() / 2, targets.abs() - 0.5)
    expected = {"mse": targets.square(), "mae": targets.abs(), "huber": huber}[loss].mean().item()
    assert first.metrics["training_loss"] == pytest.approx(expected, rel=0.05)


def test_r2_is_that_of_scikit_learn() -> None:
    run = predict(epochs=2)
    train(run)
    assert isinstance(run, SupervisedRun)
    test = diabetes().test
    with torch.inference_mode():
        answers = run._model.eval()(test.inputs).squeeze(1)
    # A ratio of sums over the test set, from 1.
    assert run.evaluate()["test_r2"] == pytest.approx(r2_score(test.targets, answers), abs=EPS * len(test))


@pytest.mark.parametrize("learning_rate", [3.0, 1e3])
def test_a_far_too_high_learning_rate_is_divergence(learning_rate: float) -> None:
    *_, last = train(predict(learning_rate=learning_rate))
    assert last.divergence is not None


@pytest.mark.parametrize(("fold", "part"), [(4, "test"), (3, "validation")])
def test_a_part_whose_targets_are_all_equal_is_refused(tmp_path: Path, fold: int, part: str) -> None:
    """Of fewer than ten rows, a fold may have one: its R2 would be minus infinity."""
    (tmp_path / "table.csv").write_text("size,price\n" + "".join(f"{row},{row}.5\n" for row in range(9)))
    settings = {"dataset": "csv", "path": str(tmp_path / "table.csv"), "target": "price", "fold": fold}
    with pytest.raises(DataProblem, match=rf"^All targets of the {part} set are equal \(1 of them\).*More rows are needed\.$"):
        tabular_regression.start({"batch_size": 2}, settings, 0, "cpu", 1)


def test_more_examples_in_a_batch_than_there_are_is_refused() -> None:
    with pytest.raises(DataProblem, match=r"^batch_size 1024 exceeds the 264 examples of the training set\.$"):
        predict(batch_size=1024)

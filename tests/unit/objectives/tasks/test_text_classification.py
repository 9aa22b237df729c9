"""The task on text; what it shares with images is tested there."""

from pathlib import Path
from typing import Any

import pytest
import torch
from babel import Locale

from objectives.contract import DataProblem
from objectives.tasks.text_classification import start
from objectives.training.supervised import SupervisedRun
from tests.unit.objectives.runs import end_of, train

SETTINGS: dict[str, dict[str, Any]] = {
    "bag": {"model": "bag", "width": 16, "buckets": 512},
    "gru": {"model": "gru", "width": 24},
    "lstm": {"model": "lstm", "width": 24, "layers": 2},
    "transformer": {"model": "transformer", "width": 16, "layers": 2, "heads": 2},
}
each_model = pytest.mark.parametrize("model", SETTINGS)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The names of 200 currencies in Finnish, French and Polish, as a CSV file."""
    languages = ("fi", "fr", "pl")
    rows = [f'"{Locale(language).currencies[code]}",{language}' for code in _known(*languages) for language in languages]
    path = tmp_path_factory.mktemp("names") / "names.csv"
    path.write_text("\n".join(["name,label", *rows]), encoding="utf-8")
    return path


def _known(*languages: str) -> list[str]:
    return sorted(set.intersection(*(set(Locale(language).currencies) for language in languages)))[:200]


def begin(names: Path, model: str, **params: Any) -> SupervisedRun:
    settings = SETTINGS[model] | {"dataset": "csv", "path": str(names), "max_length": 16}
    run = start({"epochs": 4, "batch_size": 32, "learning_rate": 0.02} | params, settings, 0, "cpu", 1)
    assert isinstance(run, SupervisedRun)
    return run


@each_model
def test_every_model_learns_from_a_file(names: Path, model: str) -> None:
    run = begin(names, model)
    first, *_, last = train(run)
    assert last.divergence is None
    assert last.metrics["training_loss"] < 0.7 * first.metrics["training_loss"]
    assert run.evaluate()["test_accuracy"] > 0.7  # 0.86 to 0.93


@each_model
def test_a_run_continued_from_a_checkpoint_is_the_run_never_stopped(names: Path, model: str) -> None:
    whole, stopped, continued = (begin(names, model, epochs=2, optimizer="adagrad", dropout=0.2) for _ in range(3))
    train(stopped, 1)
    continued.load_state_dict(stopped.state_dict())
    train(whole, 1)
    assert end_of(continued) == end_of(whole)


@each_model
def test_the_first_loss_is_that_of_guessing_where_the_output_is_zero(names: Path, model: str) -> None:
    run = begin(names, model, initialization="orthogonal")
    assert run.evaluate()["test_loss"] == pytest.approx(torch.tensor(3.0).log().item(), rel=1e-6)


def test_names_of_the_cldr_are_learned() -> None:
    run = start({"epochs": 2, "learning_rate": 0.02}, {"model": "bag"}, 0, "cpu", 1)
    train(run)
    assert run.evaluate()["test_accuracy"] > 0.75  # 0.87


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(DataProblem, match=r"^width is 30: a Transformer needs an even one that is a multiple of heads, 4\.$"):
        start({}, {"model": "transformer", "width": 30}, 0, "cpu", 1)

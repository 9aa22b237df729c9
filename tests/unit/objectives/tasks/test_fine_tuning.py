from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from objectives.contract import DataProblem, Run
from objectives.data.digits import digits, some_digits
from objectives.tasks.fine_tuning import start
from objectives.tasks.image_classification import start as start_images
from tests.unit.objectives.runs import train

HEAD = ("5.weight", "5.bias")


def begin(settings: dict[str, Any] | None = None, *, seed: int = 0, **params: Any) -> Run:
    return start({"epochs": 3} | params, settings or {}, seed, "cpu", 1)


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    state = run.state_dict()
    assert isinstance(state, dict)
    weights: dict[str, torch.Tensor] = state["model"]
    return weights


def test_what_was_learned_and_what_is_learned_share_no_image_and_keep_their_folds() -> None:
    for fold in (0, 3):
        learned, new, every = some_digits(0, 4, fold), some_digits(5, 9, fold), digits(fold)
        for part in ("training", "validation", "test"):
            parts = [getattr(sets, part) for sets in (learned, new)]
            whole = getattr(every, part)
            assert [part.targets.unique().tolist() for part in parts] == [list(range(5))] * 2
            assert sum(map(len, parts)) == len(whole)
            assert torch.equal(parts[1].inputs, whole.inputs[whole.targets > 4])


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_a_network_learns_the_other_digits(model: str) -> None:
    run = begin({"model": model})
    first, *_, last = train(run)
    assert last.metrics["training_loss"] < first.metrics["training_loss"] / 2
    assert run.evaluate()["test_accuracy"] > 0.85


def test_it_begins_with_the_same_learned_weights_whatever_the_trials_own_parameters_and_seed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    one = weights_of(begin())
    assert "Took the weights of the mlp that tells the digits 0 to 4 apart (accuracy 0.9" in capfd.readouterr().out
    other = weights_of(begin(seed=1, learning_rate=0.5, optimizer="adam", initialization="orthogonal", zero_output=False))
    scratch = weights_of(begin({"pretrained": "none"}))
    assert all(torch.equal(one[name], other[name]) == (name != "5.weight") for name in one)
    assert not any(torch.equal(one[name], scratch[name]) for name in one if name not in HEAD)
    assert not torch.equal(one["1.weight"], weights_of(begin({"fold": 1}))["1.weight"])


def test_dropout_which_renumbers_the_layers_leaves_the_learned_weights() -> None:
    plain, dropped = weights_of(begin()), weights_of(begin(dropout=0.5))
    assert list(dropped) != list(plain)
    assert all(torch.equal(*each) for each in zip(plain.values(), dropped.values(), strict=True))


def test_a_run_that_goes_on_from_a_checkpoint_is_the_run_never_stopped(tmp_path: Path) -> None:
    choices: dict[str, Any] = {"unfreeze_every": 1, "layer_decay": 0.4, "dropout": 0.1, "epochs": 4, "optimizer": "adam"}
    settings = {"model": "cnn"}
    whole, stopped, resumed = (begin(settings, **choices) for _ in range(3))
    expected = train(whole)
    begun = train(stopped, 1)
    torch.save(stopped.state_dict(), tmp_path / "state")
    resumed.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert begun + train(resumed) == expected
    assert resumed.evaluate() == whole.evaluate()


def test_training_goes_on_from_a_file_and_keeps_the_last_layer_where_classes_are_as_many(tmp_path: Path) -> None:
    run = begin()
    train(run)
    path = tmp_path / "mlp.pt"
    torch.save(weights_of(run), path)
    continued = begin({"pretrained": "file", "checkpoint": str(path)}, warmup_fraction=0.3)
    assert all(torch.equal(weights_of(continued)[name], value) for name, value in weights_of(run).items())
    (first,) = train(continued, 1)
    assert first.in_warmup
    assert first.metrics["training_loss"] < 0.5


def test_a_network_for_ten_classes_is_taken_over_but_for_its_last_layer(tmp_path: Path) -> None:
    path = tmp_path / "digits.pt"
    ten = start_images({}, {}, 0, "cpu", 1)
    torch.save(weights_of(ten), path)
    weights = weights_of(begin({"pretrained": "file", "checkpoint": str(path)}))
    assert {name for name, value in weights_of(ten).items() if not torch.equal(value, weights[name])} == set(HEAD)


def test_a_checkpoint_of_lightning_is_taken_over(tmp_path: Path) -> None:
    weights = weights_of(begin({"pretrained": "none"}, dropout=0.5))
    torch.save({"epoch": 3, "state_dict": {f"model.{name}": value for name, value in weights.items()}}, tmp_path / "last.ckpt")
    continued = weights_of(begin({"pretrained": "file", "checkpoint": str(tmp_path / "last.ckpt")}))
    assert all(torch.equal(*each) for each in zip(continued.values(), weights.values(), strict=True))


def test_a_checkpoint_of_another_network_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "wide.pt"
    torch.save(weights_of(begin({"pretrained": "none", "width": 32})), path)
    with pytest.raises(DataProblem, match=r"wide.pt does not fit the network: 1.weight is \(32, 64\) instead of \(128, 64\), "):
        begin({"pretrained": "file", "checkpoint": str(path)})


def test_images_from_files_are_learned_by_the_network_of_the_digits_where_it_fits(tmp_path: Path) -> None:
    drawing = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.fromarray(drawing.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / name / f"{number}.png")
    settings = {"dataset": "image-folder", "path": str(tmp_path), "image_size": 8, "model": "cnn"}
    (measured,) = train(begin(settings, batch_size=4, epochs=1))
    assert measured.step == 1
    with pytest.raises(DataProblem, match=r"tells the digits 0 to 4 apart .* does not fit the network: 1.weight is"):
        begin(settings | {"model": "mlp", "image_size": 16}, batch_size=4)

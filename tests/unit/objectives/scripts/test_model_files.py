"""Files that hold a model and its data, as real processes describe them."""

from pathlib import Path
from typing import Any

import pytest

from objectives.own_modules import CatalogProblem
from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked, ScriptObjective

HEAD = """
import torch
import objectives

X = torch.randn(64, 4)
Y = (X.sum(1) > objectives.LIMIT).long()
PARTS = slice(0, 32), slice(32, 48), slice(48, 64)
"""
DATA = "def data(settings): return [(X[part], Y[part]) for part in PARTS]\n"
MODEL = "def model(params, settings): return torch.nn.Linear(4, 2)\n"


def described(folder: Path, text: str) -> ScriptObjective:
    (folder / "objectives.py").write_text("LIMIT = 0\n")  # a module of the user's with the name of ours
    (folder / "net.py").write_text(HEAD + text)
    [found] = describe_files([str(folder / "net.py")], Asked()).values()
    return found


def test_a_model_has_the_parameters_of_training_and_its_own(tmp_path: Path) -> None:
    space = {
        "optimizer": "adamw",
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
        "width": {"type": "categorical", "choices": [16, 32]},
    }
    text = f'"""Learns signs."""\nsearch_space = {space}\nsettings = {{"noise": 0.5, "path": None}}\n'
    (tmp_path / "objectives.py").write_text("LIMIT = 0\n")
    (tmp_path / "net.py").write_text(text + HEAD + DATA + MODEL)
    [found] = describe_files([str(tmp_path / "net.py")], Asked()).values()
    objective = found.objective
    parameters = {each.name: each for each in objective.parameters}
    assert (objective.name, objective.description) == ("net", "Learns signs.")
    assert [metric.name for metric in objective.metrics] == ["validation_loss", "validation_accuracy", "training_loss"]
    assert parameters["learning_rate"].space == {**space["learning_rate"], "points": 9}  # type: ignore[dict-item]
    assert (parameters["optimizer"].default, parameters["optimizer"].space) == ("adamw", None)
    assert parameters["momentum"].space is None, "it has no effect under adamw"
    assert parameters["width"].space == space["width"]
    assert parameters["initialization"].default == "default"
    assert not parameters.keys() & {"dropout", "activation", "normalization"}
    settings = objective.settings_schema["properties"]
    assert (settings["noise"]["type"], settings["noise"]["default"], settings["precision"]["default"]) == (
        "number",
        0.5,
        "float32",
    )
    assert (found.function.params["optimizer"], found.function.settings["noise"]) == ("adamw", 0.5)


WRONG: dict[str, tuple[str, str]] = {
    "a model that is no function": (DATA + "model = torch.nn.Linear(4, 2)\n", "net.py holds no objective"),
    "no arguments": (
        DATA + "def model(): pass\n",
        "net.py's model, tried on a batch of its data, raised TypeError: model() takes 0",
    ),
    "it raises": (
        DATA + "def model(params, settings):\n    return params['hidden']\n",
        "raised KeyError: 'hidden' (PATH, line 10)",
    ),
    "a refusal": (DATA + "def model(params, settings): return 3\n", "net.py: model returned a value of type int: it must return"),
    "two sets": ("def data(settings): return X, Y\n" + MODEL, "net.py: data returned a tuple of 2: it must return three sets"),
    "a list": (
        DATA + MODEL + "search_space = ['width']\n",
        "net.py: search_space is ['width']: it must be a dictionary from names",
    ),
    "settings": (DATA + MODEL + "settings = 3\n", "net.py: settings is 3: it must be a dictionary from names"),
    "a setting": (
        DATA + MODEL + "settings = {'sizes': [1]}\n",
        "net.py: settings['sizes'] is [1]: it must be a number, text, True",
    ),
    "a range": (
        DATA + MODEL + "search_space = {'width': {'type': 'double', 'low': 1, 'high': 2}}\n",
        'net.py: net\'s width has a range of type \'double\': it must be "float", "int" or "categorical"',
    ),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_file_whose_model_cannot_be_trained_is_refused_in_a_sentence(how: str, tmp_path: Path) -> None:
    text, said = WRONG[how]
    with pytest.raises(CatalogProblem) as raised:
        described(tmp_path, text)
    assert said.replace("PATH", str(tmp_path / "net.py")) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_module_that_the_file_calls_settings_is_none_of_strides(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("X = 1\n")
    found: Any = described(tmp_path, f"import settings\n{DATA}{MODEL}")
    assert "X" not in found.objective.settings_schema["properties"]

"""Files that hold a model and its data, as processes describe them: the first a new one, the others forked with torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from objectives.contract import ROLE
from objectives.own_modules import CatalogProblem
from objectives.scripts import process
from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked, ScriptObjective
from tests.forked_scripts import start_script

HEAD = """
import torch
import objectives

X = torch.randn(64, 4)
Y = (X.sum(1) > objectives.LIMIT).long()
PARTS = slice(0, 32), slice(32, 48), slice(48, 64)
"""
DATA = "def data(settings): return [(X[part], Y[part]) for part in PARTS]\n"
MODEL = "def model(params, settings): return torch.nn.Linear(4, 2)\n"


Describe = Callable[[str], ScriptObjective]


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Describe:
    """Describes a file, given what follows its head."""
    monkeypatch.setattr(process, "Guarded", start_script)

    def describe(text: str) -> ScriptObjective:
        (tmp_path / "objectives.py").write_text("LIMIT = 0\n")  # a module of the user's with the name of ours
        (tmp_path / "net.py").write_text(HEAD + text)
        [found] = describe_files([str(tmp_path / "net.py")], Asked()).values()
        return found

    return describe


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
    "a model that is no function": (
        DATA + "model = torch.nn.Linear(4, 2)\n",
        "net.py holds no objective (model is a Linear): a file",
    ),
    "a model alone": (MODEL, "net.py holds no objective (there is no data)"),
    "three arguments": (
        DATA + "def model(params, settings, width): pass\n",
        "net.py's model, tried on a batch of its data, raised TypeError: model() missing 1",
    ),
    "data that raise": (
        "def data(settings):\n    return X[1000]\n" + MODEL,
        "net.py's data raised IndexError: index 1000 is out of bounds for dimension 0 with size 64 (PATH, line 9)",
    ),
    "a loss that is no function": (
        DATA + MODEL + "loss = 0.0\n",
        "net.py: loss is 0.0: it must be a function, def loss(outputs, targets)",
    ),
    "batches larger than the training set": (
        DATA + MODEL + "search_space = {'batch_size': {'type': 'categorical', 'choices': [16, 64]}}\n",
        "net's training set holds 32 examples, fewer than a batch of 64: give smaller sizes in search_space",
    ),
    "fewer examples than any usual batch": (
        "def data(settings): return [(X[:9], Y[:9])] * 3\n" + MODEL,
        "net's training set holds 9 examples, fewer than a batch of 16",
    ),
    "a value that a setting of Stride's cannot have": (
        DATA + MODEL + "settings = {'precision': 'float16'}\n",
        "net's setting precision has a default that no job may give: 'float16' is not one of",
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
def test_a_file_whose_model_cannot_be_trained_is_refused_in_a_sentence(how: str, described: Describe, tmp_path: Path) -> None:
    text, said = WRONG[how]
    with pytest.raises(CatalogProblem) as raised:
        described(text)
    assert said.replace("PATH", str(tmp_path / "net.py")) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_module_that_the_file_calls_settings_is_none_of_strides(described: Describe, tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("X = 1\n")
    found: Any = described(f"import settings\n{DATA}{MODEL}")
    assert "X" not in found.objective.settings_schema["properties"]


def test_batch_sizes_are_searched_up_to_the_number_of_examples(described: Describe) -> None:
    found = described(DATA + MODEL)
    assert [each.space for each in found.objective.parameters if each.name == "batch_size"] == [
        {"type": "categorical", "choices": [16, 32]}
    ]


def test_settings_give_strides_own_another_default(described: Describe) -> None:
    found = described(DATA + MODEL + "settings = {'threads': 2}\n")
    threads = found.objective.settings_schema["properties"]["threads"]
    assert (threads["default"], threads["maximum"], threads[ROLE]) == (2, 256, "threads")
    assert found.function.settings["threads"] == 2


FEWER = {
    "no arguments": "def data(): return [(X[part], Y[part]) for part in PARTS]\ndef model(): return torch.nn.Linear(4, 2)\n",
    "the first": DATA + "def model(params): return torch.nn.Linear(4, 2 + 0 * params['batch_size'])\n",
    "their own": DATA + "def model(width=2): return torch.nn.Linear(4, width)\n",
    "all": DATA + "def model(*args): return torch.nn.Linear(4, 2 + 0 * len(args[1]))\n",
    "a default": DATA + "def model(params, settings=None): return torch.nn.Linear(4, 2 + 0 * len(settings))\n",
    "a class": DATA + "class model(torch.nn.Linear):\n    def __init__(self): super().__init__(4, 2)\n",
    "a partial function": f"import functools\n{DATA}model = functools.partial(lambda n, params: torch.nn.Linear(4, n), 2)\n",
}


@pytest.mark.parametrize("how", FEWER)
def test_functions_are_called_with_the_arguments_that_they_take(how: str, described: Describe) -> None:
    assert described(FEWER[how]).objective.description == "The model of net.py."


def test_a_model_gets_choices_as_the_file_writes_them(described: Describe) -> None:
    space = "search_space = {'width': {'type': 'categorical', 'choices': [None, 64]}}\n"
    text = "def model(params):\n    assert params['width'] is None\n    return torch.nn.Linear(4, 2)\n"
    found = described(DATA + space + text)
    assert found.function.params["width"] == "None"

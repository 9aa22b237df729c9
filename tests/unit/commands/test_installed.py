"""What installed packages offer, as API and worker read it when they start."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked
from service.commands.own_objectives import check_to_run
from service.commands.roles import own_objectives
from service.errors import ConfigurationError
from service.settings import Settings
from tests.distributions import install

DECLARED = """
from objectives.contract import Metric, Objective, Parameter

OBJECTIVES = Objective(
    name="declared",
    description="",
    module="acme.training",
    metrics=(Metric(name="loss", direction="minimize", description=""),),
    parameters=(Parameter(name="lr", role="learning_rate", type="float", default=0.1, description=""),),
)
"""
TRAINING = """
import random
from collections import abc
import stride
from .data import SPACE

assert random.random() < 1

@stride.objective(space=SPACE)
def train(trial): ...
"""
DATA = 'SPACE = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    points = {"net": "acme.training:train", "more": "acme.declared"}
    modules = {"declared": DECLARED, "training": TRAINING, "data": DATA, "random": "raise RuntimeError"}
    monkeypatch.syspath_prepend(install(tmp_path, "acme", points, modules))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)  # of script processes
    yield tmp_path
    for name in [each for each in sys.modules if each.partition(".")[0] in ("acme", "other")]:
        del sys.modules[name]


@pytest.mark.usefixtures("site")
def test_a_worker_has_modules_and_functions_and_the_api_modules(capsys: pytest.CaptureFixture[str]) -> None:
    found = own_objectives(Settings(), trains=True, warns=True)
    assert found.settings.objective_modules == ("acme.declared",)
    [(name, script)] = found.scripts.items()
    assert (name, script.objective.name, script.function.module) == ("net", "net", "acme.training")
    api = own_objectives(Settings(), trains=False, warns=True)
    assert (api.settings.objective_modules, api.scripts) == (("acme.declared",), {})
    assert own_objectives(Settings(), trains=True, warns=True, installed=False).settings.objective_modules == ()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("site")
def test_a_module_that_the_settings_name_is_taken_once() -> None:
    settings = Settings.model_validate({"objective_modules": "acme.declared"})
    assert own_objectives(settings, trains=False, warns=True).settings.objective_modules == ("acme.declared",)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("acme/training.py", "its value is neither MODULE nor MODULE:FUNCTION"),
        ("acme.training:", "its value is neither MODULE nor MODULE:FUNCTION"),
        ("acme.none", "acme.none cannot be imported: ModuleNotFoundError"),
        ("acme.none:train", "there is no Python file of a module acme.none"),
        ("acme.training:test", "training.py has no function 'test'"),
        ("acme.random:train", "random.py cannot be loaded: RuntimeError"),
        ("other.declared", "other.declared repeats the objective name 'declared', the one of acme.training: choose another"),
    ],
)
def test_one_that_cannot_be_used_is_one_sentence_and_leaves_the_others(
    site: Path, capsys: pytest.CaptureFixture[str], value: str, said: str
) -> None:
    install(site, "other", {"zoo": value}, {"declared": DECLARED})
    found = own_objectives(Settings(), trains=True, warns=True)
    assert (found.settings.objective_modules, list(found.scripts)) == (("acme.declared",), ["net"])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Warning: not offered: other 1.2, entry point zoo = {value}: {said}")


@pytest.mark.usefixtures("site")
def test_a_script_with_the_name_of_an_installed_modules_objective_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "declared.py"
    file.write_text(TRAINING.replace("from .data import SPACE", DATA))
    settings = Settings.model_validate({"objective_files": str(file)})
    said = f"{file}: acme 1.2, entry point more = acme.declared has an objective 'declared': give this one another name"
    with pytest.raises(ConfigurationError) as worker:
        own_objectives(settings, trains=True, warns=True)
    [script] = describe_files([str(file)], Asked()).values()
    with pytest.raises(ConfigurationError) as run:
        check_to_run(script, Settings())
    assert str(worker.value) == str(run.value) == said
    [other] = describe_files([str(file.rename(tmp_path / "mine.py"))], Asked()).values()
    check_to_run(other, Settings())

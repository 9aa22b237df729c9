"""What `stride check` finds in scripts that do a thing right, or wrong. Each run is a real process."""

import os
from pathlib import Path

import psutil
import pytest

from objectives.scripts import process
from objectives.scripts.catalog import describe_files
from objectives.scripts.check import Finding, findings
from objectives.scripts.entry import Asked
from tests.forked_scripts import start_script

RIGHT = """
import random
import stride

@stride.objective(
    space={"learning_rate": {"type": "float", "low": 1e-3, "high": 10.0, "log": True}}, metric="loss", steps=4
)
def train(trial):
    state = trial.restored() or {"step": 0, "x": random.random()}
    for step in range(state["step"] + 1, 5):
        x = state["x"] = state["x"] + random.random()
        state["step"] = step
        loss = float("nan") if trial.params["learning_rate"] > 1 else x
        trial.save(dict(state))
        if trial.report(step=step, loss=loss, training_loss=x):
            return
"""
OPTUNA = """
def objective(trial):
    return trial.suggest_float("lr", 1e-3, 1.0, log=True)
"""


def found(folder: Path, source: str) -> dict[str, Finding]:
    (folder / "train.py").write_text(source)
    [script] = describe_files([str(folder / "train.py")], Asked()).values()
    return {finding.name: finding for finding in findings(script, "cpu")}


def test_a_script_that_does_all_right(tmp_path: Path) -> None:
    all_found = found(tmp_path, RIGHT)
    assert [name for name, finding in all_found.items() if not finding.works] == ["best model", "audit"]
    assert all_found["resume"].text == "step 2 is the same in another process, to the last digit"
    assert all_found["divergence"].text == "at learning_rate 10, the highest, the run diverged"
    assert 'trial.save a dictionary with "model"' in all_found["best model"].text


LOOP = """
import random
import stride

class Sum:
    def __init__(self):
        self.x = 0.0
    def parameters(self):
        return [self.x]
    def state_dict(self):
        return {"x": self.x}
    def load_state_dict(self, state):
        self.x = state["x"]

def train(lr=0.1, steps=4):
    found = Sum()
    for step in stride.steps(steps, found):
        found.x += random.random()
        stride.report(validation_loss=float("nan") if lr == 1 else found.x, training_loss=found.x)
"""


def test_a_loop_resumes_and_keeps_its_weights(tmp_path: Path) -> None:
    assert [name for name, finding in found(tmp_path, LOOP).items() if not finding.works] == ["audit"]


@pytest.mark.parametrize(
    ("reported", "said"),
    [
        ("", "give stride.steps the optimizer, or say learning_rate= in the report,"),
        (", learning_rate=lr / 2", "the applied rate is in the curve, but"),
    ],
)
def test_rates_are_audited_where_stride_trains(tmp_path: Path, reported: str, said: str) -> None:
    loop = LOOP.replace("training_loss=found.x)", f"training_loss=found.x{reported})")
    assert found(tmp_path, loop)["audit"].text.startswith(said)


MODEL = """
import torch

X = torch.linspace(-1, 1, 96)[:, None]

def data(): return [(X[part], X[part]) for part in (slice(32), slice(32, 64), slice(64, 96))]
def model(): return torch.nn.Linear(1, 1)
"""


def test_a_model_whose_training_is_strides_has_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "Guarded", start_script)  # each process would import torch
    all_found = found(tmp_path, MODEL)
    assert [name for name, finding in all_found.items() if not finding.works] == []
    assert "checked against the schedule's" in all_found["audit"].text


def test_a_loop_that_saves_nothing_does_not_resume(tmp_path: Path) -> None:
    all_found = found(tmp_path, LOOP.replace("steps, found)", "steps)"))
    assert [name for name, finding in all_found.items() if not finding.works] == ["resume", "best model", "audit"]
    assert "or by steps(n, model, optimizer)" in all_found["resume"].text


def test_what_goes_on_from_one_trial_to_the_next_is_found(tmp_path: Path) -> None:
    source = LOOP.replace("    found = Sum()\n", "").replace("def train", "found = Sum()\n\ndef train")
    all_found = found(tmp_path, source)
    assert [name for name, finding in all_found.items() if not finding.works] == ["trial after trial", "audit"]
    assert "such as a model at the top of the file" in all_found["trial after trial"].text


@pytest.mark.parametrize(
    ("right", "wrong", "name", "said"),
    [
        ('"x": random.random()}', '"x": 0.0}\n    random.seed(7)', "seeds", "the script sets its own seed"),
        ("import random\n", "import random, secrets\nrandom = secrets.SystemRandom()\n", "seeds", "does not reach"),
        ('state["step"] + 1, 5', "1, 5", "resume", "the resumed run"),
        ("trial.save(dict(state))", "trial.save({'step': step, 'x': 0.0})", "resume", "at step 2 instead of"),
        ("trial.save(dict(state))", "pass", "resume", "nothing was saved with trial.save"),
        ("training_loss=x", "loss_of_training=x", "diagnosis", "report training_loss"),
        ('float("nan")', "1 / 0", "divergence", "ZeroDivisionError"),
        (", steps=4", "", "pruning", "the number of steps is not known"),
        ('"x": random.random()}', '"x": missing}', "training", "NameError: name 'missing' is not defined"),
    ],
)
def test_what_a_script_does_wrong_is_told_with_its_cure(tmp_path: Path, right: str, wrong: str, name: str, said: str) -> None:
    assert right in RIGHT
    finding = found(tmp_path, RIGHT.replace(right, wrong))[name]
    assert not finding.works
    assert said in finding.text


def test_what_a_script_has_started_ends_with_its_check(tmp_path: Path) -> None:
    found(tmp_path, f"import subprocess\nsubprocess.Popen(['sleep', '71.{os.getpid()}'])\n{RIGHT}")
    assert not [each for each in psutil.process_iter(["cmdline"]) if f"71.{os.getpid()}" in (each.info["cmdline"] or ())]


def test_an_optuna_objective_without_reports(tmp_path: Path) -> None:
    all_found = found(tmp_path, OPTUNA)
    assert {name for name, finding in all_found.items() if finding.works} == {"training", "divergence", "trial after trial"}
    assert "an Optuna objective saves no state" in all_found["resume"].text
    assert "draws nothing at random" in all_found["seeds"].text

"""What files hold, as real processes describe it, and what is said of files that cannot be used."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from objectives.own_modules import CatalogProblem
from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked, ScriptObjective, as_text, from_text
from tests.polling import wait_until

SPACE = 'space={"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}'
NOTHING = Asked()
FUNCTION = f"import stride\n@stride.objective({SPACE})\ndef train(trial):\n    pass\n"


def described(folder: Path, text: str, of: str = "", asked: Asked = NOTHING, **times: Any) -> dict[str, ScriptObjective]:
    (folder / "train.py").write_text(text)
    return describe_files([f"{folder / 'train.py'}{of}"], asked, **times)


LOOP = """
def train(lr=0.01, batch_size=32, epochs=20, name="adam", nesterov=True, betas=(0.9, 0.999), decay=None):
    'Learn.'
"""


@pytest.mark.parametrize(("of", "name"), [("", "train"), (":train", "train"), (":other", "other")])
def test_the_arguments_of_a_function_are_its_parameters(tmp_path: Path, of: str, name: str) -> None:
    text = LOOP.replace("def train", f"def {name}")
    found = described(tmp_path, text, of, Asked(metric="accuracy", direction="maximize"))[name]
    parameters = {each.name: each for each in found.objective.parameters}
    assert {each.name: each.default for each in parameters.values() if each.name != "lr"} == {
        "batch_size": 32,
        "epochs": 20,
        "name": "adam",
        "nesterov": True,
    }
    assert parameters["lr"].space == {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 9}
    assert (parameters["lr"].role, parameters["epochs"].role) == ("learning_rate", "duration")
    assert [(each.name, each.direction) for each in found.objective.metrics] == [("accuracy", "maximize")]
    assert (found.objective.description, found.function.kind, found.function.steps) == ("Learn.", "arguments", "epochs")
    assert found.note == (
        f"train.py's {name} keeps betas=(0.9, 0.999), decay=None: a parameter's value is a number, text, True or False."
    )


def test_a_rate_of_another_name_and_a_number_of_steps_are_told(tmp_path: Path) -> None:
    found = described(tmp_path, "def train(eta=1): pass\n", asked=Asked(learning_rate="eta", steps=3))["train"]
    assert (found.function.learning_rate, found.function.steps, found.function.metric) == ("eta", 3, "validation_loss")


def test_a_function_is_described_as_it_declares(tmp_path: Path) -> None:
    text = """
import stride

@stride.objective(
    space={
        "eta": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "points": 5},
        "batch_size": {"type": "categorical", "choices": (16, 32)},
        "layers": {"type": "int", "low": 1, "high": 5},
        "clip": {"type": "categorical", "choices": [None, "norm", 3]},
        "mixing": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
        "epochs": 7,
        "nesterov": True,
    },
    metric="accuracy",
    direction="maximize",
    steps="epochs",
    name="mine",
)
def train(trial):
    '''Learn a lot.

    And more.
    '''
"""
    [(name, found)] = described(tmp_path, text, asked=Asked(learning_rate="eta")).items()
    objective = found.objective
    assert (name, objective.name, objective.description) == ("mine", "mine", "Learn a lot.")
    assert [(metric.name, metric.direction) for metric in objective.metrics] == [("accuracy", "maximize")]
    parameters = {each.name: each for each in objective.parameters}
    assert {name: (each.type, each.default, each.role) for name, each in parameters.items()} == {
        "eta": ("float", pytest.approx(0.01), "learning_rate"),
        "batch_size": ("int", 16, "batch_size"),
        "layers": ("int", 3, None),
        "clip": ("categorical", "None", None),
        "mixing": ("float", pytest.approx(0.2), None),
        "epochs": ("int", 7, "duration"),
        "nesterov": ("categorical", True, None),
    }
    assert parameters["clip"].choices == ("None", "norm", "3")
    assert parameters["epochs"].space is None
    assert objective.knows_fraction
    assert from_text(as_text({name: found.function})) == {name: found.function}


def test_steps_that_are_not_stated_are_not_known(tmp_path: Path) -> None:
    [found] = described(tmp_path, FUNCTION).values()
    assert not found.objective.knows_fraction
    assert found.function.steps is None


def test_one_of_several_may_be_chosen_by_its_name(tmp_path: Path) -> None:
    text = "import stride\n" + "".join(
        f"@stride.objective({SPACE}, name={name!r})\ndef {name}_function(trial): pass\n" for name in ("one", "two")
    )
    assert list(described(tmp_path, text)) == ["one", "two"]
    assert list(described(tmp_path, text, ":two")) == ["two"]
    assert list(described(tmp_path, text, ":two_function")) == ["two"]


def test_what_runs_as_a_program_only_does_not_run(tmp_path: Path) -> None:
    assert described(tmp_path, FUNCTION + "if __name__ == '__main__':\n    raise SystemExit(3)\n")


def test_a_path_may_hold_a_colon(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    assert list(described(folder, FUNCTION)) == ["train"]


CANNOT = "train.py cannot be loaded:"
MAIN = 'if __name__ == "__main__"'
POSSIBLE = (
    "a file holds functions under @stride.objective(space=...), an Optuna objective, def objective(trial),"
    " def train(lr=0.1, epochs=20), or def model(params, settings) and def data(settings)"
)
RANGE = '{"type": "float", "low": 1e-4, "high": 1.0, "log": True}'
WRONG = {
    "a syntax error": ("def (:\n", f"{CANNOT} SyntaxError: invalid syntax (PATH, line 1)"),
    "it raises": ("\nraise ValueError('no data')\n", f"{CANNOT} ValueError: no data (PATH, line 2)"),
    "it exits": (
        "import sys\nsys.exit(1)\n",
        f"{CANNOT} it ends the process: SystemExit: 1 (PATH, line 2): put what runs it as a program under {MAIN}",
    ),
    "it parses arguments": (
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', required=True)\nparser.parse_args()\n",
        f"{CANNOT} it ends the process: SystemExit: 2 (PATH, line 4): it is given no arguments, so parse them under {MAIN}, or",
    ),
    "it takes arguments": (
        "import sys\nlr = float(sys.argv[1])\n",
        f"{CANNOT} IndexError: list index out of range (PATH, line 2): it is given no arguments, so parse them under {MAIN}, or",
    ),
    "its process ends": ("import os\nos._exit(7)\n", f"{CANNOT} the process of train.py exited with code 7 (PATH)"),
    "no module": ("import nowhere\n", f"{CANNOT} ModuleNotFoundError: No module named 'nowhere' (PATH, line 1)"),
    "nothing": ("x = 1\n", f"train.py holds no objective: {POSSIBLE}"),
    "two kinds": (
        FUNCTION + "def objective(trial): pass\n",
        f"train.py holds train under @stride.objective and the Optuna objective `objective`: {POSSIBLE}",
    ),
    "ours": (
        "OBJECTIVES = ()\n",
        "train.py holds OBJECTIVES: name it in STRIDE_OBJECTIVE_MODULES, with its folder on PYTHONPATH",
    ),
    "no names": (
        FUNCTION + FUNCTION.replace("train", "other"),
        "train.py holds 2 functions under @stride.objective, and train has no name: give each one, name=...",
    ),
    "no trial": (FUNCTION.replace("trial", ""), "train.py's train cannot be called with a trial: too many positional"),
    "no parentheses": (
        "import stride\n@stride.objective\ndef train(trial): pass\n",
        f'{CANNOT} TypeError: write @stride.objective(space={{"learning_rate": ',
    ),
    "a direction": (
        FUNCTION.replace("(space", "(direction='up', space"),
        f'{CANNOT} ValueError: direction must be "minimize" or "maximize", not \'up\' (PATH, line 2)',
    ),
    "steps of nothing": (
        FUNCTION.replace("(space", "(steps='epochs', space"),
        f"{CANNOT} ValueError: steps names 'epochs', which is not in the space: learning_rate (PATH, line 2)",
    ),
    "no rate": (
        FUNCTION.replace("learning_rate", "eta"),
        "train has no parameter called learning_rate or lr: name the learning rate with --learning-rate, one of eta (PATH)",
    ),
    "a rate by name": (
        FUNCTION.replace(RANGE, "'high'"),
        "train's learning_rate is the learning rate: its type must be float, not categorical (PATH)",
    ),
    "an async function": ("async def train(lr=0.1): pass\n", "train.py's train is async: it must be a plain function"),
    "a generator": ("def train(lr=0.1): yield 1\n", "train.py's train is a generator: it must be a plain function"),
    "helpers of the names of a model and data": (
        "def model(): pass\ndef data(): return 3\ndef train(lr=0.1): pass\n",
        "train.py: data returned a value of type int: it must return three sets, (training, validation, test); to tune its"
        " function train, name it: train.py:train",
    ),
    "an argument without a value": (
        "def train(lr, width): pass\n",
        "train.py's train cannot be called with parameters: its argument width has no value: write width=...",
    ),
    "arguments without a rate": (
        "def train(eta=0.1): pass\n",
        "train has no parameter called learning_rate or lr: name the learning rate with --learning-rate, one of eta (PATH)",
    ),
    "a type": (
        FUNCTION.replace('"float"', '"real"'),
        'train\'s learning_rate has a range of type \'real\': it must be "float", "int" or "categorical" (PATH)',
    ),
    "an end": (
        FUNCTION.replace("1e-4", '"low"'),
        "train's learning_rate has a range from 'low' to 1.0: low and high must be numbers (PATH)",
    ),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, how: str) -> None:
    text, says = WRONG[how]
    with pytest.raises(CatalogProblem) as raised:
        described(tmp_path, text)
    said = says.replace("(PATH", f"({tmp_path / 'train.py'}")
    assert str(raised.value)[: len(said)] == said
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogProblem, match=r"there is no file /.*/absent\.py$"):
        describe_files([str(tmp_path / "absent.py:name")], Asked())


def test_a_name_that_is_not_in_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogProblem, match=r"^train\.py has no function 'other'$"):
        described(tmp_path, FUNCTION, ":other")


def test_two_files_may_not_have_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.py").write_text(FUNCTION)
    with pytest.raises(CatalogProblem, match=r"b/train\.py repeats the objective name 'train' of .*a/train\.py: choose another"):
        describe_files([str(tmp_path / "a" / "train.py"), str(tmp_path / "b" / "train.py")], Asked())


def test_a_file_that_takes_too_long_is_refused_and_its_processes_end(tmp_path: Path) -> None:
    text = "import os, time\nopen('PID', 'w').write(str(os.getpid()))\ntime.sleep(60)\n".replace("PID", str(tmp_path / "pid"))
    began = time.monotonic()
    with pytest.raises(CatalogProblem, match=r"train\.py is not loaded within 1 s"):
        described(tmp_path, text, load_s=1.0)
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_children_of_a_file_end_once_it_is_described(tmp_path: Path) -> None:
    text = FUNCTION + "import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    described(tmp_path, text + f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n")

    def is_gone() -> bool:
        try:
            os.kill(int((tmp_path / "pid").read_text()), 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(is_gone, "the end of the child")


def test_a_file_that_is_not_done_with_its_first_report_in_time_is_refused(tmp_path: Path) -> None:
    text = "import time\ndef objective(trial):\n    trial.suggest_float('lr', 0.1, 1.0)\n    time.sleep(60)\n"
    with pytest.raises(CatalogProblem, match=r"train\.py was asked for its search space, and reported nothing within 1 s \(/"):
        described(tmp_path, text, describe_s=1.0)


def test_a_version_is_of_the_file_and_of_what_is_said_of_it_but_not_of_its_place(tmp_path: Path) -> None:
    text = "def objective(trial):\n    return trial.suggest_float('lr', 0.1, 1.0)\n"

    def version(folder: str, text: str, **asked: Any) -> bytes:
        (tmp_path / folder).mkdir(exist_ok=True)
        [found] = described(tmp_path / folder, text, asked=Asked(**asked)).values()
        return found.version_sha256

    one = version("a", text)
    assert version("b", text) == one
    others = [version("a", text + "# other\n"), version("a", text, steps=3), version("a", text, steps=4)]
    assert len({one, *others, version("a", text, direction="maximize")}) == 5

"""`stride import`, on a running Stride: the commands of its guide, and what people are told."""

import json
import re
import shlex
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from tests.acceptance.conftest import REPOSITORY, RunningStride, assert_fails, run
from tests.stock_optuna import stock

GUIDE = (REPOSITORY / "docs" / "guide" / "import.md").read_text(encoding="utf-8")
COLUMNS = ("--learning-rate", "lr", "--metric", "loss")


def study(storage: optuna.storages.RDBStorage, name: str) -> None:
    made = optuna.create_study(study_name=name, storage=storage)
    space = {"lr": FloatDistribution(1e-4, 1.0, log=True)}
    rates = [1e-3, 1e-2, 1e-1]
    made.add_trials([create_trial(value=1 / rate, params={"lr": rate}, distributions=space) for rate in rates])


def test_each_command_of_the_guide_answers(stride: RunningStride, tmp_path: Path) -> None:
    settings = {"STRIDE_URL": stride.url, "STRIDE_DATA_DIR": str(stride.folder)}
    with stock(run("url", **settings).stdout.strip()) as own:
        study(own, "theirs")
    elsewhere = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db")
    study(elsewhere, "mine")
    elsewhere.engine.dispose()
    content, n_commands = "", 0
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL):
        if language != "sh":
            content = text
            continue
        for line in text.splitlines():
            _, *arguments = shlex.split(line)
            if not arguments[1].startswith("--"):
                (tmp_path / arguments[1]).write_text(content)
            done = run(*arguments, cwd=tmp_path, **settings)
            assert done.returncode == 0, done
            assert re.match(r"Job \S+ is completed\.\nLearning rate ", done.stdout), done
            n_commands += 1
    assert n_commands == 5


def test_it_says_what_was_read_and_the_same_file_is_the_same_job(stride: RunningStride, tmp_path: Path) -> None:
    lines = [f"{10 ** -(index / 4):.4g},{step},{index + step}" for index in range(8) for step in (0, 1)]
    (tmp_path / "steps.csv").write_text("\n".join(["lr,step,loss", *lines, "1.5,0,nan"]))
    arguments = ("import", "steps.csv", *COLUMNS, "--step", "step", "--name", "steps")
    done = run(*arguments, cwd=tmp_path, STRIDE_URL=stride.url)
    assert done.stderr.splitlines() == [
        "Rows with equal lr are taken for one run: 9 of them. --run names a column that tells runs apart.",
        "step is counted from 0 there, and from 1 here.",
        "9 runs of steps.csv (1 diverged): lr from 0.01778 to 1.5. Lower loss is better.",
    ]
    assert "Their training seeds are not known" in done.stdout
    again = json.loads(run(*arguments, "--json", cwd=tmp_path, STRIDE_URL=stride.url).stdout)
    assert f"Job {again['id']} is completed." in done.stdout
    assert (again["name"], again["source"], again["spec"]["objective"]["steps"]) == ("steps", "steps.csv", 2)
    assert re.search(r"steps +imported +completed", run("jobs", STRIDE_URL=stride.url).stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Name what to import: a FILE, or a study"),
        (("runs.csv", "--metric", "loss"), "Name the columns of the learning rate and of the metric"),
        (("runs.csv", *COLUMNS, "--study", "mine"), "--study and --storage name what to import in place of FILE"),
        (("runs.csv", *COLUMNS, "--step", "epoch"), "runs.csv has no column 'epoch' (--step); its columns are lr, loss"),
        (("runs.csv", *COLUMNS, "--direction", "up"), "--direction up should be minimize or maximize"),
        (("runs.csv", *COLUMNS, "--missing", "lost"), "--missing lost should be diverged or failed"),
        (("runs.csv", *COLUMNS, "--shorter", "lost"), "--shorter lost should be completed, pruned or failed"),
        (
            ("wrong.csv", *COLUMNS[:3], "val_acc"),
            "Is a higher val_acc better? Say --direction maximize, or --direction minimize.",
        ),
        (("runs.csv", *COLUMNS, "--setting", "cnn"), "--setting cnn should look like --setting NAME=VALUE"),
        (("runs.csv", *COLUMNS, "--param", "lr=1:"), "--param lr=1: is none of NAME="),
        (("runs.csv", *COLUMNS, "--objective", "nope"), "There is no objective 'nope'; there are: few-shot"),
        (
            ("wrong.csv", *COLUMNS[:3], "validation_loss", "--direction", "maximize", "--objective", "image-classification"),
            "wrong.csv is to maximize validation_loss, but image-classification minimizes it",
        ),
        (("--storage", "s.log", "--seed", "s"), "--seed names a column of a FILE"),
        (("--storage", "s.log", "--shorter", "pruned"), "--shorter judges the runs of a FILE"),
        (("--storage", "s.log", "--param", "s"), "--param s names a column of a FILE"),
        (("--storage", "s.log"), "s.log cannot be read as a storage of Optuna (there is no such file"),
        (
            ("--storage", "postgresql://me:se@cret@127.0.0.1:9/x", "--study", "a"),
            "postgresql://me:***@127.0.0.1:9/x cannot be read",
        ),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    stride: RunningStride, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "runs.csv").write_text("lr,loss\n0.1,1\n0.2,2\n")
    (tmp_path / "wrong.csv").write_text("lr,validation_loss\n0.1,1\n0.2,2\n")
    assert_fails(run("import", *arguments, cwd=tmp_path, STRIDE_URL=stride.url), 2, said)

"""Training scripts, offered by `stride worker --objective`: from the file to the answer, with no module of the API's."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import DEADLINE_S, REPOSITORY, RunningStride, assert_fails, run, running_stride, start
from tests.distributions import install

FUNCTION = """
import math
import stride

@stride.objective(space={"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}, STEPS)
def train(trial):
    for step in range(4):
        loss = math.log10(trial.params["learning_rate"] / 0.01) ** 2 + 1 / (step + 1)
        if trial.report(step, validation_loss=loss):
            break
"""
OPTUNA = """
import math
import optuna

def objective(trial):
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    for step in range(4):
        trial.report(math.log10(lr / 0.01) ** 2 + 1 / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return math.log10(lr / 0.01) ** 2

if __name__ == "__main__":
    study = optuna.create_study()
    study.optimize(objective, n_trials=20)
"""


@contextmanager
def offering(stride: RunningStride, file: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that offers the objectives of a file."""
    arguments = ("worker", "--data", str(stride.folder), "--objective", str(file), *options)
    worker = start(*arguments, STRIDE_OBJECTIVE_MODULES="")
    try:
        yield worker
    finally:
        worker.terminate()
        worker.communicate(timeout=DEADLINE_S)


def listed(stride: RunningStride, name: str) -> dict[str, Any]:
    """The objective of this name, once a worker has announced it."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := [each for each in stride.ask("GET", "/v1/objectives")["items"] if each["name"] == name]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return dict(found[0])


@pytest.mark.parametrize(("name", "text"), [("mine", FUNCTION.replace("STEPS", "steps=4")), ("study", OPTUNA)])
def test_a_script_is_tuned_as_it_is(workerless: RunningStride, tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / f"{name}.py"
    file.write_text(text)
    with offering(workerless, file, "--steps", "4"):
        assert listed(workerless, name)["offered"]
        job = f"{{objective: {{name: {name}}}, pruner: {{type: successive_halving}}, budget: {{trials: 12, confirm: 0}}}}"
        result = workerless.run("submit", "-", "--watch", stdin=job)
        assert result.returncode == 0, result.stderr
    job_id = workerless.ask("GET", "/v1/jobs")["items"][0]["id"]  # the newest
    trials = workerless.ask("GET", f"/v1/jobs/{job_id}/trials")["items"]
    assert {trial["state"] for trial in trials} == {"complete", "pruned"}
    assert 1e-3 < workerless.ask("GET", f"/v1/jobs/{job_id}/best-lr")["learning_rate"] < 1e-1


def test_without_steps_no_pruner_is_taken_and_it_is_said_what_to_do(workerless: RunningStride, tmp_path: Path) -> None:
    file = tmp_path / "stepless.py"
    file.write_text(FUNCTION.replace("STEPS", "steps=None"))
    with offering(workerless, file):
        listed(workerless, "stepless")
        result = workerless.run("submit", "-", stdin="{objective: {name: stepless}, pruner: {type: median}}")
    assert_fails(result, 2, "stepless does not say how many steps a run has", "or state steps: ", "in @stride.objective", lines=2)


def test_an_installed_package_offers_by_an_entry_point_to_every_worker(workerless: RunningStride, tmp_path: Path) -> None:
    points = {"parabola": "acme.training:train", "gone": "acme.gone:train"}
    site = install(tmp_path / "site", "acme", points, {"training": FUNCTION.replace("STEPS", "steps=4")})
    worker = start(
        "worker",
        "--data",
        str(workerless.folder),
        STRIDE_OBJECTIVE_MODULES="",
        PYTHONPATH=os.pathsep.join([str(site), str(REPOSITORY)]),
    )
    try:
        assert listed(workerless, "parabola")["offered"]
        job_id = workerless.submit(objective={"name": "parabola"}, budget={"trials": 2, "confirm": 0})
        assert workerless.wait_until_done(job_id)["state"] == "completed"
    finally:
        worker.terminate()
        _, said = worker.communicate(timeout=DEADLINE_S)
    assert said.count("Warning: not offered: acme 1.2, entry point gone = acme.gone:train: there is no Python file") == 1


def test_a_file_that_cannot_be_used_ends_the_worker_with_a_sentence(workerless: RunningStride, tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("\n1 / 0\n")
    said = f"broken.py cannot be loaded: ZeroDivisionError: division by zero ({file}, line 2)"
    assert_fails(run("worker", "--data", str(workerless.folder), "--objective", str(file)), 2, said)
    absent = run("worker", "--data", str(workerless.folder), "--objective", "absent.py")
    assert_fails(absent, 2, "there is no file ")
    direction = run("worker", "--data", str(workerless.folder), "--objective", str(file), "--direction", "up")
    assert_fails(direction, 2, "STRIDE_OBJECTIVE_DIRECTION: ")


def test_a_name_of_another_objective_is_refused(workerless: RunningStride, tmp_path: Path) -> None:
    file = tmp_path / "tabular-regression.py"
    file.write_text(FUNCTION.replace("STEPS", "steps=4"))
    result = run("worker", "--data", str(workerless.folder), "--objective", str(file))
    assert_fails(result, 2, "there is another objective 'tabular-regression': give this one another name")


def test_stride_up_offers_the_files_of_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(FUNCTION.replace("STEPS", "steps=4"))
    with running_stride(tmp_path / "data", "--workers", "1", STRIDE_OBJECTIVE_FILES=str(file)) as stride:
        assert listed(stride, "mine")["offered"]
        job_id = stride.submit(objective={"name": "mine"}, budget={"trials": 2, "confirm": 0})
        assert stride.wait_until_done(job_id)["state"] == "completed"
    file.write_text("1 / 0\n")
    result = run("up", "--data", str(tmp_path / "data"), STRIDE_OBJECTIVE_FILES=str(file))
    assert_fails(result, 2, "mine.py cannot be loaded: ZeroDivisionError: division by zero")


def test_a_worker_offers_a_command_under_a_name(workerless: RunningStride) -> None:
    line = 'awk -v lr={lr} -v bs={bs} \'BEGIN {print "{\\"loss\\": " (log(lr) / log(10) + 2) ^ 2 "}"}\''
    options = ["--param", "lr=1e-4:1:log", "--param", "bs=16,32", "--metric", "loss", "--name", "parabola-awk"]
    worker = start("worker", "--data", str(workerless.folder), "--command", line, *options, STRIDE_OBJECTIVE_MODULES="")
    try:
        assert listed(workerless, "parabola-awk")["offered"]
        job_id = workerless.submit(objective={"name": "parabola-awk"}, budget={"trials": 2, "confirm": 0})
        assert workerless.wait_until_done(job_id)["state"] == "completed"
        assert set(workerless.ask("GET", f"/v1/jobs/{job_id}/trials/0")["params"]) == {"lr", "bs"}
    finally:
        worker.terminate()
        worker.communicate(timeout=DEADLINE_S)


def test_a_command_that_cannot_be_offered_ends_the_worker_with_a_sentence(workerless: RunningStride) -> None:
    place = ["--data", str(workerless.folder)]
    assert_fails(run("worker", *place, "--command", "no-such-program {lr}"), 2, "there is no program 'no-such-program' here")
    said = "it is not known what {bs} may be: say it with --param"
    assert_fails(
        run("worker", *place, STRIDE_OBJECTIVE_COMMAND="sh train.sh {lr} {bs}", STRIDE_OBJECTIVE_PARAMS="lr=1:2"), 2, said
    )

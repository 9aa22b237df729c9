"""Training functions in users' scripts, trained by real trainer and script processes: what becomes of their trials."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.domain.lease import Outcome
from service.domain.trial import Trial, TrialState
from service.store.postgres import Database
from service.worker.ending import Unfit
from stride.reporting import NOTHING_SAVED
from tests.integration.worker.conftest import Start
from tests.integration.worker.scripts import job_of, killed_after, script_processes, training, written
from tests.integration.worker.supervised import curve_of, log_of, told, trial_of
from tests.polling import wait_until


def ended(database: Database, folder: Path, body: str, *, before: str = "", **overrides: Any) -> Trial:
    """The trial of a script of this body."""
    job = job_of(database, **overrides)
    with training(database, written(folder, body, before=before)) as worker:
        worker.run_trial()
    return trial_of(database, job)


# What a function measures.


def test_a_function_is_trained_step_by_step(database: Database, tmp_path: Path) -> None:
    body = """
for step in range(1, 5):
    print(f"step {step} on {trial.device}")
    trial.report(step, validation_loss=1 / step, accuracy=0.5, learning_rate=trial.params["learning_rate"] / step)
trial.set_user_attr("test_accuracy", [0.75])
"""
    job = job_of(database)
    with training(database, written(tmp_path, body)) as worker:
        worker.run_trial()
    trial, curve = trial_of(database, job), curve_of(database, job)
    assert (trial.state, trial.value, trial.user_attrs["test_accuracy"]) == (TrialState.COMPLETE, 0.25, [0.75])
    assert [(item.step, item.fraction) for item in curve] == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert [dict(item.metrics) for item in curve] == [{"validation_loss": 1 / step, "accuracy": 0.5} for step in range(1, 5)]
    rate = float(trial.params["learning_rate"])
    assert [item.learning_rate for item in curve] == [rate / step for step in range(1, 5)]
    assert log_of(database, job) == "".join(f"step {step} on cpu\n" for step in range(1, 5))


def test_a_parameter_that_the_job_leaves_out_has_its_declared_value(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    space = '{"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}, "epochs": 2}'
    body = 'for _ in range(trial.params["epochs"]):\n        trial.report(validation_loss=1.0)'
    path.write_text(f"import stride\n\n@stride.objective(space={space}, steps='epochs')\ndef train(trial):\n    {body}\n")
    job = job_of(database)
    with training(database, path) as worker:
        worker.run_trial()
    assert [item.fraction for item in curve_of(database, job)] == [0.5, 1.0]


def test_steps_may_be_counted_from_0_or_not_at_all(database: Database, tmp_path: Path) -> None:
    job = job_of(database, budget={"trials": 2})
    body = """
for step in range(4):
    trial.report(step if trial.number == 0 else None, validation_loss=1.0)
"""
    with training(database, written(tmp_path, body)) as worker:
        for number in range(2):
            worker.run_trial()
            assert [item.step for item in curve_of(database, job, number)] == [1, 2, 3, 4]


def test_modules_beside_the_script_may_be_called_as_stride_calls_its_own(database: Database, tmp_path: Path) -> None:
    for name in ("objectives", "service"):
        (tmp_path / f"{name}.py").write_text("LOSS = 0.125\n")
    trial = ended(
        database, tmp_path, "trial.report(validation_loss=objectives.LOSS + service.LOSS)", before="import objectives, service\n"
    )
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.25)


def test_random_numbers_are_those_of_the_trials_seed(database: Database, tmp_path: Path) -> None:
    before = "import random\nimport numpy as np\nimport torch\n"
    body = """
draws = [random.random(), float(np.random.rand()), float(torch.rand(1))]
trial.set_user_attr("draws", [draws, trial.seed])
trial.report(validation_loss=1.0)
"""
    path, found = written(tmp_path, body, before=before), []
    job = job_of(database, budget={"trials": 2})
    same = job_of(database, seed=job.spec.seed)
    with training(database, path) as worker:
        for _ in range(3):
            worker.run_trial()
    found = [trial_of(database, job, number).user_attrs for number in (0, 1)] + [trial_of(database, same).user_attrs]
    assert found[0]["draws"] == found[2]["draws"]
    assert found[0]["draws"][0] != found[1]["draws"][0]
    assert found[0]["draws"][1] == found[0]["training_seed"]


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "10**400"])
def test_a_metric_that_is_no_number_has_diverged(database: Database, tmp_path: Path, value: str) -> None:
    trial = ended(database, tmp_path, f"trial.report(validation_loss={value})\nraise RuntimeError('it was asked to go on')")
    assert (trial.state, trial.value) == (TrialState.INFEASIBLE, math.inf)
    said = {"float('nan')": "nan"}.get(value, "inf")
    assert trial.user_attrs["divergence"] == f"validation_loss was {said} at step 1"


FAILURES = {
    "raises": ("raise KeyError('x')", "KeyError", "'x'"),
    "without the metric": (
        "trial.report(1, loss=1.0)",
        "TypeError",
        "report was not given validation_loss, the metric that counts: it was given loss",
    ),
    "text": (
        "trial.report(1, validation_loss='low')",
        "TypeError",
        "validation_loss is 'low', which is text: it must be a number",
    ),
    "a list": ("trial.report(1, validation_loss=[1, 2])", "TypeError", "validation_loss is [1, 2]: it must be one number"),
    "backwards": (
        "trial.report(2, validation_loss=1)\ntrial.report(1, validation_loss=1)",
        "ValueError",
        "step 1 was reported after step 2: steps are reported in their order",
    ),
    "half a step": ("trial.report(0.5, validation_loss=1)", "TypeError", "the step is 0.5: it must be a whole number"),
    "nothing": ("pass", "NothingMeasured", "train ended without a call of trial.report"),
    "exits": ("import sys; sys.exit('enough')", "SystemExit", "the function ended the process, with enough"),
    "interrupted": ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    "attribute": ("trial.set_user_attr('a', {1, 2})", "TypeError", "the user attribute 'a' cannot be stored as JSON: "),
    "state": ("trial.save(3)", "TypeError", "trial.save was given a int: it takes a dictionary, the path of a folder"),
    "path": ("trial.save('nowhere')", "ValueError", "trial.save was given the path nowhere, which is no folder"),
    "other process": (
        "import os\nif os.fork() == 0:\n    try:\n        trial.report(validation_loss=1)\n    except RuntimeError as error:\n"
        "        open('said', 'w').write(str(error))\n    os._exit(0)\nos.wait(); raise RuntimeError(open('said').read())",
        "RuntimeError",
        "report was called in another process than the function: report where the function was called",
    ),
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_function_that_fails_says_why(database: Database, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    body, type_, says = FAILURES[how]
    trial = ended(database, tmp_path, body)
    assert (trial.state, len(trial.attempts)) == (TrialState.FAILED, 1)
    assert trial.error is not None
    assert (trial.error.type, trial.error.message[: len(says)]) == (type_, says)


def test_a_failure_shows_the_line_of_the_script_and_no_frame_of_stride_before(database: Database, tmp_path: Path) -> None:
    trial = ended(database, tmp_path, "x = 1\nx / 0")
    assert trial.error is not None
    lines = str(trial.error.traceback).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].strip() == f'File "{tmp_path / "train.py"}", line 7, in train'


# What a function may do to its process.


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("import os; os._exit(3)", "the process of train.py exited with code 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the process of train.py was killed by SIGKILL"),
        ("import os; os.closerange(3, 64); os._exit(0)", "the process of train.py exited with code 0"),
        ("import os, time\nif os.fork() == 0: time.sleep(60)\nos._exit(4)", "the process of train.py exited with code 4"),
    ],
)
def test_a_process_that_ends_is_an_attempt_that_died(database: Database, tmp_path: Path, body: str, how: str) -> None:
    trial = ended(database, tmp_path, body, max_attempts=2)
    assert trial.state is TrialState.FAILED
    assert [(attempt.outcome, attempt.reason) for attempt in trial.attempts] == [(Outcome.TRAINER_DIED, how)] * 2


def test_a_function_that_hangs_is_ended_by_the_jobs_limit_with_its_process(database: Database, tmp_path: Path) -> None:
    job = job_of(database, limits={"trial_seconds": 0.5})
    body = "open('pid', 'w').write(str(os.getpid()))\nwhile True: pass"
    pid = tmp_path / "pid"
    with training(database, written(tmp_path, body.replace("'pid'", repr(str(pid))), before="import os\n")) as worker:
        worker.run_trial()
        assert not lives(int(pid.read_text()))
    error = trial_of(database, job).error
    assert error is not None
    assert error.type == "TimeLimit"


def test_threads_and_children_that_a_function_leaves_end_with_the_trainer(database: Database, tmp_path: Path) -> None:
    body = """
import subprocess, sys, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
trial.set_user_attr("pid", child.pid)
trial.report(validation_loss=1.0)
"""
    job = job_of(database, budget={"trials": 2})
    with training(database, written(tmp_path, body)) as worker:
        worker.run_trial()
        worker.run_trial()
        processes = script_processes(worker)
        pids = [trial_of(database, job, number).user_attrs["pid"] for number in (0, 1)]
        assert {*pids} < {process.pid for process in processes}
        os.kill(worker.trainer_pid, signal.SIGKILL)
        worker.trainer.replace()
        wait_until(lambda: not any(lives(process.pid) for process in processes), "the end of all of them")


def test_ten_megabytes_of_output_and_a_closed_one_do_no_harm(database: Database, tmp_path: Path) -> None:
    body = """
import os, sys
if trial.number == 0:
    print("x" * 10_000_000)
if trial.number == 1:
    sys.stdout.close(); sys.stderr.close(); os.close(1); os.close(2); os.chdir("/")
print(f"{trial.number} in {os.getcwd()}") if trial.number != 1 else None
trial.report(validation_loss=1.0)
"""
    job = job_of(database, budget={"trials": 3})
    with training(database, written(tmp_path, body)) as worker:
        for _ in range(3):
            worker.run_trial()
    trials = [trial_of(database, job, number) for number in range(3)]
    assert [(trial.state, len(trial.attempts)) for trial in trials] == [(TrialState.COMPLETE, 1)] * 3
    assert log_of(database, job, 0).endswith(f"0 in {os.getcwd()}\n")
    assert len(log_of(database, job, 0)) < 20_000_000
    assert (log_of(database, job, 1), log_of(database, job, 2)) == ("", f"2 in {os.getcwd()}\n")


def test_children_of_a_script_can_be_terminated_though_the_trainer_ignores_it(database: Database, tmp_path: Path) -> None:
    body = """
import multiprocessing, time
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
child.start(); child.terminate(); child.join(5)
trial.report(validation_loss=float(child.exitcode))
"""
    assert ended(database, tmp_path, body).value == -signal.SIGTERM


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_children_find_the_functions_of_the_script_however_they_are_started(database: Database, tmp_path: Path, how: str) -> None:
    before = "import multiprocessing\n\ndef half(x):\n    return x / 2\n"
    body = f"""
with multiprocessing.get_context({how!r}).Pool(2) as pool:
    trial.report(validation_loss=sum(pool.map(half, [1.0, 2.0])))
"""
    trial = ended(database, tmp_path, body, before=before)
    assert (trial.error, trial.value) == (None, 1.5)


def test_one_process_serves_many_trials_until_one_raises(database: Database, tmp_path: Path) -> None:
    body = """
import os
trial.set_user_attr("pid", os.getpid())
trial.report(validation_loss=1.0)
if trial.number == 1: raise RuntimeError("lost")
"""
    job = job_of(database, budget={"trials": 4})
    with training(database, written(tmp_path, body, before="import os\nprint(f'loaded by {os.getpid()}')\n")) as worker:
        for _ in range(4):
            worker.run_trial()
    trials = [trial_of(database, job, number) for number in range(4)]
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAILED", "COMPLETE", "COMPLETE"]
    assert trials[2].user_attrs["pid"] == trials[3].user_attrs["pid"] != trials[0].user_attrs["pid"]


def test_a_script_that_has_changed_is_set_aside_until_it_is_as_before(database: Database, tmp_path: Path) -> None:
    path = written(tmp_path, "trial.report(validation_loss=1.0)")
    before = path.read_text()
    job = job_of(database)
    with training(database, path) as worker:
        path.write_text(before + "# changed\n")
        with pytest.raises(Unfit, match=r"train\.py has changed since this worker was started, so start it again"):
            worker.run_trial()
        assert trial_of(database, job).state is TrialState.RUNNING, "it is left to another worker"
        path.write_text(before)
        worker.run_trial()
    assert trial_of(database, job).state is TrialState.COMPLETE


# Stopping.


def test_a_function_is_told_to_stop_by_the_pruner_and_may_still_do_its_last(database: Database, tmp_path: Path) -> None:
    body = """
import time
for step in range(1, 5):
    if trial.report(step, validation_loss=float(trial.number)):
        time.sleep(0.3)
        open(FILE, "a").write(f"{trial.number} stopped after {step}\\n")
        return
"""
    said = tmp_path / "said"
    pruner = {"type": "median", "startup_trials": 1, "parts": 4}
    job = job_of(database, budget={"trials": 3}, pruner=pruner)
    with training(database, written(tmp_path, body, before=f"FILE = {str(said)!r}\n")) as worker:
        for _ in range(3):
            worker.run_trial()
        assert len(script_processes(worker)) == 2, "one script process, and its guard"
    assert [trial_of(database, job, number).state.name for number in range(3)] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert said.read_text().startswith("1 stopped after 1\n")


def test_a_function_that_goes_on_though_it_was_told_to_stop_is_ended_at_its_next_report(
    database: Database, tmp_path: Path
) -> None:
    body = """
for step in range(1, 5):
    try:
        trial.report(step, validation_loss=float(trial.number))
    except Exception:
        pass
    open(FILE, "a").write(f"{trial.number}:{step} ")
"""
    said = tmp_path / "said"
    job = job_of(database, budget={"trials": 3}, pruner={"type": "median", "startup_trials": 1, "parts": 4})
    with training(database, written(tmp_path, body, before=f"FILE = {str(said)!r}\n")) as worker:
        for _ in range(3):
            worker.run_trial()
    assert [trial_of(database, job, number).state.name for number in range(3)] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert said.read_text().startswith("0:1 0:2 0:3 0:4 1:1 ")
    assert "1:2" not in said.read_text()


# Taking over.


TORCH = """
import os, time
import torch

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)

def wait_for(step):
    gate = os.environ.get("GATE")
    while gate and os.path.exists(gate) and int(open(gate).read() or 0) < step:
        time.sleep(0.01)
"""

LEARNS = """
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=trial.params["learning_rate"])
first = 1
if SAVES and (state := trial.restored()) is not None:
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    first = state["step"] + 1
    print(f"resumed after step {state['step']}")
for step in range(first, 5):
    wait_for(step)
    model.train()
    for batch in torch.randperm(64).split(16):
        optimizer.zero_grad()
        ((model(X[batch]) - Y[batch]) ** 2).mean().backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        loss = ((model(X) - Y) ** 2).mean()
    if SAVES:
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step})
    trial.report(step, validation_loss=loss)
"""


@pytest.mark.parametrize("saves", [True, False])
def test_a_trial_whose_trainer_was_killed_goes_on_at_its_checkpoint_bit_for_bit(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: bool
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    gate.write_text("1000")
    path = written(tmp_path, LEARNS, before=TORCH + f"SAVES = {saves}\n")
    with training(database, path, interval_s=0.0) as worker:
        calm, killed = job_of(database, seed=3), job_of(database, seed=3)
        worker.run_trial()
        killed_after(worker, database, 2, gate)
        died, finished = trial_of(database, killed).attempts
        assert (died.outcome, finished.outcome) == (Outcome.TRAINER_DIED, Outcome.FINISHED)
        assert finished.from_step == (2 if saves else None)
    one, other = (
        [(item.step, json.dumps(dict(item.metrics)), item.learning_rate) for item in curve_of(database, job)]
        for job in (calm, killed)
    )
    assert one == other
    assert trial_of(database, calm).value == trial_of(database, killed).value
    failed = told(database, killed, "checkpoint.failed")
    if saves:
        assert log_of(database, killed) == "resumed after step 2\n"
        assert failed == []
    else:
        assert {event["reason"] for event in failed} == {NOTHING_SAVED}
    with database.transaction() as conn:
        kinds = conn.exec_driver_sql("SELECT DISTINCT kind FROM stride.checkpoints WHERE job_id = %(id)s", {"id": calm.id})
        assert ("model" in {row.kind for row in kinds}) == saves, "the weights of the best model"


def test_a_folder_may_be_saved(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    body = """
folder = trial.restored()
first = 1 if folder is None else int((folder / "deep" / "step").read_text()) + 1
kept = pathlib.Path(tempfile.mkdtemp(dir=HERE))
(kept / "deep").mkdir()
for step in range(first, 5):
    wait_for(step)
    (kept / "deep" / "step").write_text(str(step))
    trial.save(kept if step % 2 else str(kept))
    trial.report(step, validation_loss=1.0)
"""
    before = TORCH.replace("import torch", "import pathlib, tempfile").replace("X = ", "#").replace("Y = ", "#")
    job = job_of(database)
    with training(database, written(tmp_path, body, before=before + f"HERE = {str(tmp_path)!r}\n"), interval_s=0.0) as worker:
        killed_after(worker, database, 2, gate)
    assert [attempt.from_step for attempt in trial_of(database, job).attempts] == [None, 2]
    assert trial_of(database, job).state is TrialState.COMPLETE


def test_a_state_that_cannot_be_stored_is_named_once(database: Database, tmp_path: Path) -> None:
    body = """
for step in range(4):
    trial.save({"step": step, "inside": [{"of": object()}]})
    trial.report(step, validation_loss=1.0)
"""
    job = job_of(database)
    with training(database, written(tmp_path, body), interval_s=0.0) as worker:
        worker.run_trial()
    [event] = told(database, job, "checkpoint.failed")
    said = "what trial.save was given['inside'][0]['of'] is a value of type object: a state holds"
    assert event["reason"].startswith(said)
    assert trial_of(database, job).state is TrialState.COMPLETE


def test_a_state_that_is_saved_now_and_then_is_that_of_the_step_it_was_saved_for(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    body = """
state = trial.restored() or {"step": 0}
for step in range(state["step"] + 1, 5):
    wait_for(step)
    if step == 2:
        trial.save({"step": step})
    trial.report(step, validation_loss=1.0)
"""
    before = TORCH.replace("import torch", "").replace("X = ", "#").replace("Y = ", "#")
    job = job_of(database)
    with training(database, written(tmp_path, body, before=before), interval_s=0.0) as worker:
        killed_after(worker, database, 3, gate)
    assert [attempt.from_step for attempt in trial_of(database, job).attempts] == [None, 2]
    assert told(database, job, "checkpoint.failed")[0]["step"] == 1, "nothing had been saved then"
    assert len(told(database, job, "checkpoint.failed")) == 1


def test_a_function_that_does_not_ask_for_its_state_starts_anew(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    body = """
for step in range(1, 5):
    wait_for(step)
    trial.save({"step": step})
    trial.report(step, validation_loss=1.0)
"""
    before = TORCH.replace("import torch", "").replace("X = ", "#").replace("Y = ", "#")
    job = job_of(database)
    with training(database, written(tmp_path, body, before=before), interval_s=0.0) as worker:
        killed_after(worker, database, 2, gate)
    trial = trial_of(database, job)
    assert (trial.state, trial.attempts[-1].from_step) == (TrialState.COMPLETE, None)
    assert told(database, job, "checkpoint.passed_over")[0]["reason"] == (
        "train's state, from trial.restored(), did not restore the position: after step 2 the run went on with step 1"
    )


# Workers.


def test_a_worker_that_is_killed_takes_its_scripts_process_along_and_another_goes_on(
    database: Database, start_worker: Start, tmp_path: Path
) -> None:
    body = """
import os, time
state = trial.restored() or {"step": 0}
open(FILE, "a").write(f"{os.getpid()} ")
for step in range(state["step"] + 1, 41):
    time.sleep(0.05)
    trial.save({"step": step})
    trial.report(step, validation_loss=1 / step)
"""
    pids = tmp_path / "pids"
    path = written(tmp_path, body, before=f"FILE = {str(pids)!r}\n")
    settings = {"STRIDE_OBJECTIVE_FILES": str(path), "STRIDE_CHECKPOINT_S": "0.1"}
    job = job_of(database)
    first = start_worker(**settings)
    wait_until(lambda: len(told(database, job, "trial.started")) == 1 and len(curve_of(database, job)) > 5, "some steps")
    first.signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: not lives(int(pids.read_text().split()[0])), "the end of the script's process")
    start_worker(**settings)
    wait_until(lambda: trial_of(database, job).state is TrialState.COMPLETE, "the end of the trial")
    attempts = trial_of(database, job).attempts
    assert [attempt.outcome for attempt in attempts] == [Outcome.VANISHED, Outcome.FINISHED]
    assert (attempts[1].from_step or 0) > 0
    assert [item.step for item in curve_of(database, job)] == list(range(1, 41))

"""Functions that count their steps by `stride.steps`, trained by real trainer and script processes."""

from pathlib import Path
from typing import Any

import pytest

from service.domain.lease import Outcome
from service.domain.trial import Trial, TrialState
from service.store.postgres import Database
from tests.integration.worker.scripts import RATE, job_of, killed_after, training
from tests.integration.worker.supervised import curve_of, told, trial_of

HEAD = """
import os, time
import stride
TORCH

def wait_for(step):
    gate = os.environ.get("GATE")
    while gate and int(open(gate).read() or 0) < step:
        time.sleep(0.01)

class Counter:
    def __init__(self):
        self.value = 0
    def state_dict(self):
        return {"value": self.value}
    def load_state_dict(self, state):
        self.value = state["value"]

def train(lr=0.1, epochs=4):
    counter = Counter()
"""
NETWORK = """
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for epoch in stride.steps(epochs, optimizer, net, schedule, counter):
        wait_for(epoch + 1)
        loss = net(torch.randn(8, 3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        stride.report(validation_loss=loss)
        counter.value += 1
    assert counter.value == epochs
"""


def script(folder: Path, loop: str) -> Path:
    path = folder / "train.py"
    path.write_text(HEAD.replace("TORCH", "import torch" if "torch" in loop else "") + loop)
    return path


def ended(database: Database, folder: Path, loop: str, **overrides: Any) -> tuple[Trial, list[Any]]:
    """The trial of a function with this loop, and its curve."""
    job = job_of(database, **overrides)
    with training(database, script(folder, loop)) as worker:
        worker.run_trial()
    return trial_of(database, job), list(curve_of(database, job))


def test_what_changes_after_the_report_is_saved_with_the_step_and_a_killed_trial_ends_bit_for_bit(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    gate.write_text("1000")
    with training(database, script(tmp_path, NETWORK), interval_s=0.0) as worker:
        calm, killed = (job_of(database, seed=3, search_space={"lr": 0.02}) for _ in range(2))
        worker.run_trial()
        killed_after(worker, database, 2, gate)
    died, finished = trial_of(database, killed).attempts
    assert (died.outcome, finished.outcome, finished.from_step) == (Outcome.TRAINER_DIED, Outcome.FINISHED, 2)
    one, other = (
        [(item.step, item.fraction, item.metrics, item.learning_rate) for item in curve_of(database, job)]
        for job in (calm, killed)
    )
    assert one == other
    assert [(step, fraction) for step, fraction, *_ in one] == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert [rate for *_, rate in one] == [0.02, 0.01, 0.005, 0.0025], "as applied, though the schedule has gone on"


LOOPS = {
    "it leaves the loop": (
        "for step in stride.steps(epochs):\n stride.report(validation_loss=step)\n if step == 1: break",
        [{"validation_loss": 0.0}, {"validation_loss": 1.0}],
    ),
    "two reports of a step": (
        "for step in stride.steps(2):\n stride.report(training_loss=2)\n stride.report(validation_loss=step)",
        [{"training_loss": 2.0, "validation_loss": 0.0}, {"training_loss": 2.0, "validation_loss": 1.0}],
    ),
    "steps without a report": (
        "for step in stride.steps(epochs):\n if step % 2: stride.report(validation_loss=step)",
        [{"validation_loss": 1.0}, {"validation_loss": 3.0}],
    ),
    "reports without a loop": (
        "stride.report(validation_loss=3)\nstride.report(validation_loss=2)",
        [{"validation_loss": 3.0}, {"validation_loss": 2.0}],
    ),
    "training losses between": (
        "for step in stride.steps(4):\n stride.report(training_loss=step)\n if step % 2: stride.report(validation_loss=step)",
        [{"training_loss": 1.0, "validation_loss": 1.0}, {"training_loss": 3.0, "validation_loss": 3.0}],
    ),
    "a value that is returned": ("return 0.25", [{"validation_loss": 0.25}]),
    "a value that is returned after reports": (
        "for step in stride.steps(2): stride.report(validation_loss=step)\nreturn 0.25",
        [{"validation_loss": 0.0}, {"validation_loss": 1.0}],
    ),
    "an exit": ("stride.report(validation_loss=3)\nraise SystemExit(0)", [{"validation_loss": 3.0}]),
    "a report after the loop": (
        "for step in stride.steps(2): stride.report(validation_loss=step)\nstride.report(validation_loss=9)",
        [{"validation_loss": 0.0}, {"validation_loss": 1.0}, {"validation_loss": 9.0}],
    ),
}


@pytest.mark.parametrize("how", LOOPS)
def test_each_step_that_reports_is_measured(database: Database, tmp_path: Path, how: str) -> None:
    loop, measured = LOOPS[how]
    trial, curve = ended(database, tmp_path, _indented(loop), search_space={"lr": RATE})
    assert (trial.error, trial.state) == (None, TrialState.COMPLETE)
    assert [item.metrics for item in curve] == measured
    if how == "steps without a report":
        assert [item.step for item in curve] == [2, 4]


def test_what_is_reported_after_the_loop_without_the_metric_is_noted(database: Database, tmp_path: Path) -> None:
    loop = "for step in stride.steps(2): stride.report(validation_loss=step)\nstride.report(test_loss=0.5, size=float('inf'))"
    trial, curve = ended(database, tmp_path, _indented(loop), search_space={"lr": RATE})
    assert (trial.state, trial.value, len(curve)) == (TrialState.COMPLETE, 1.0, 2)
    assert (trial.user_attrs["test_loss"], trial.user_attrs["size"]) == (0.5, "inf")


KILLED = {
    "after its last step": ("for step in stride.steps(3, counter):\n stride.report(validation_loss=1)\nwait_for(4)", 3),
    "after it has left its loop": (
        "for step in stride.steps(9, counter):\n stride.report(validation_loss=1)\n if step == 2: break\nwait_for(4)",
        3,
    ),
}


@pytest.mark.parametrize("how", KILLED)
def test_a_trial_that_is_killed_once_all_is_stored_is_complete(
    database: Database, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, steps = KILLED[how]
    gate = tmp_path / "gate"
    monkeypatch.setenv("GATE", str(gate))
    job = job_of(database, search_space={"lr": RATE})
    with training(database, script(tmp_path, _indented(loop)), interval_s=0.0) as worker:
        killed_after(worker, database, steps, gate)
    trial = trial_of(database, job)
    assert (trial.state, trial.value, trial.attempts[-1].outcome) == (TrialState.COMPLETE, 1.0, Outcome.FINISHED)
    assert len(trial.attempts) == 2
    assert len(curve_of(database, job)) == steps


def test_a_state_that_cannot_be_made_costs_the_checkpoint_and_not_the_trial(database: Database, tmp_path: Path) -> None:
    loop = """counter.state_dict = lambda: 1 / 0
for step in stride.steps(epochs, counter): stride.report(validation_loss=step)"""
    job = job_of(database, search_space={"lr": RATE})
    with training(database, script(tmp_path, _indented(loop)), interval_s=0.0) as worker:
        worker.run_trial()
    assert trial_of(database, job).state is TrialState.COMPLETE
    assert "saving the state raised ZeroDivisionError: division by zero" in str(told(database, job, "checkpoint.failed"))


WRONG = {
    "two loops": (
        "for step in stride.steps(2): stride.report(loss=1)\nfor step in stride.steps(2): pass",
        "steps was called twice in a trial: count all its steps in one loop",
    ),
    "no state": (
        "for step in stride.steps(epochs, []): pass",
        "steps was given a list, which has no state_dict and load_state_dict",
    ),
    "another metric": (
        "for step in stride.steps(epochs): stride.report(loss=1)",
        "report was not given validation_loss, the metric that counts: it was given loss",
    ),
    "after the report": (
        "for step in stride.steps(epochs):\n stride.report(validation_loss=1)\n raise TypeError('mine')",
        "mine",
    ),
}


@pytest.mark.parametrize("how", WRONG)
def test_a_loop_that_fails_says_why(database: Database, tmp_path: Path, how: str) -> None:
    loop, said = WRONG[how]
    trial, curve = ended(database, tmp_path, _indented(loop), search_space={"lr": RATE})
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert trial.error.message == said
    assert len(curve) == (how == "after the report")


def test_a_loop_ends_where_its_trial_is_pruned_and_the_function_goes_on_behind_it(database: Database, tmp_path: Path) -> None:
    said = tmp_path / "said"
    loop = f"""for step in stride.steps(epochs, counter):
 stride.report(validation_loss=1 / lr)
open({str(said)!r}, "a").write(f"{{step}} ")"""
    job = job_of(
        database,
        budget={"trials": 3},
        search_space={"lr": {"type": "categorical", "choices": [1.0, 0.1, 0.01]}},
        strategy="grid",
        pruner={"type": "median", "startup_trials": 1, "parts": 4},
    )
    with training(database, script(tmp_path, _indented(loop))) as worker:
        for _ in range(3):
            worker.run_trial()
    states = [trial_of(database, job, number).state for number in range(3)]
    ends = [int(step) for step in said.read_text().split()]
    assert len(ends) == 3
    assert [state is TrialState.PRUNED for state in states] == [end < 3 for end in ends]
    assert TrialState.PRUNED in states


def _indented(loop: str) -> str:
    return "".join(f"    {line}\n" for line in loop.splitlines())

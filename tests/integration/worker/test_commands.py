"""Commands in a worker: what becomes of their trials when the process that trains is killed."""

import os
import shlex
import signal
import sys
from pathlib import Path

import psutil

from objectives.scripts.command_entry import command_objective
from objectives.scripts.entry import Asked
from service.domain.lease import Outcome
from service.domain.trial import TrialState
from service.store.postgres import Database
from tests.integration.worker.conftest import Start
from tests.integration.worker.scripts import job_of
from tests.integration.worker.supervised import curve_of, supervised, told, trial_of
from tests.polling import wait_until

TRAIN = """
import os, time
with open("pids", "a") as pids:
    pids.write(f"{os.getpid()} ")
is_first = len(open("pids").read().split()) == 1
for step in range(1, 5):
    print('{"step": %d, "validation_loss": %g}' % (step, 1 / step), flush=True)
    while is_first and step == 2:
        time.sleep(0.1)
"""


def test_a_command_whose_trainer_is_killed_ends_with_it_and_its_trial_starts_anew(database: Database, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    line = f"{sys.executable} train.py {{learning_rate}}"
    script = command_objective(line, tmp_path, ["learning_rate=0.01:1:log"], "validation_loss", Asked(steps=4), "mine")
    job = job_of(database, "mine")
    with supervised(database, scripts={"mine": script}, interval_s=0.0) as worker:
        with worker.under_way():
            wait_until(lambda: len(curve_of(database, job)) == 2, "two steps")
            os.kill(worker.trainer_pid, signal.SIGKILL)
        first, second = map(int, (tmp_path / "pids").read_text().split())
        wait_until(lambda: not psutil.pid_exists(first), "the end of the command")
    assert not psutil.pid_exists(second)
    trial = trial_of(database, job)
    died, finished = trial.attempts
    assert (trial.state, died.outcome, finished.outcome) == (TrialState.COMPLETE, Outcome.TRAINER_DIED, Outcome.FINISHED)
    assert finished.from_step is None
    assert {event["reason"] for event in told(database, job, "checkpoint.failed")} == {"a command saves no state"}
    assert [item.step for item in curve_of(database, job)] == [1, 2, 3, 4]


def test_a_command_and_what_it_has_started_end_with_a_worker_that_is_killed(
    database: Database, start_worker: Start, tmp_path: Path
) -> None:
    lines = f"echo $$ > {tmp_path}/command; setsid sleep 600 & echo $! > {tmp_path}/left; wait"
    train = shlex.quote(f'{lines}; echo "{{learning_rate}}"')
    first = start_worker(STRIDE_OBJECTIVE_COMMAND=f"sh -c {train}", STRIDE_OBJECTIVE_NAME="mine")
    job_of(database, "mine")
    wait_until(lambda: (tmp_path / "left").exists() and (tmp_path / "left").read_text().endswith("\n"), "the command's start")
    pids = [int((tmp_path / name).read_text()) for name in ("command", "left")]
    assert all(map(psutil.pid_exists, pids))
    first.signal(signal.SIGKILL)
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), "the end of both")

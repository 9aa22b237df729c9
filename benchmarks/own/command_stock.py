"""A command under stock Optuna, as the loop that its users write: command_stock.py STORAGE TRIALS REPORTS."""

import json
import subprocess
import sys
from pathlib import Path

import optuna

from benchmarks.own.optuna_script import measure

COMMAND = Path(__file__).with_name("command.sh")


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
    steps = trial.suggest_int("steps", 1, 100_000)
    with subprocess.Popen(["sh", str(COMMAND), str(rate), str(steps)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            report = json.loads(line)
            trial.report(report["loss"], report["step"])
    assert process.returncode == 0
    return rate


if __name__ == "__main__":
    measure(objective, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

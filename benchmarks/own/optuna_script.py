"""An Optuna script that trains nothing. Run by Stride as it is, and by stock Optuna: optuna_script.py STORAGE TRIALS STEPS."""

import sys
import time
from collections.abc import Callable

import optuna


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("learning_rate", 1e-5, 1.0, log=True)
    for step in range(1, trial.suggest_int("steps", 1, 100_000) + 1):
        trial.report(rate, step)
    return rate


def measure(objective: Callable[[optuna.Trial], float], storage: str, trials: int, steps: int) -> None:
    """Print the seconds of so many trials with so many reports each."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler())
    for _ in range(trials):
        study.enqueue_trial({"steps": steps})
    study.optimize(objective, n_trials=1)  # it is connected, and all is imported
    began = time.monotonic()
    study.optimize(objective, n_trials=trials - 1)
    print((time.monotonic() - began) / (trials - 1) * trials)


if __name__ == "__main__":
    measure(objective, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

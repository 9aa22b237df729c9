"""Runs the command, and finds its best learning rate."""

import re
import subprocess

import optuna


def objective(trial):
    lr = trial.suggest_float("lr", 1e-5, 1.0, log=True)
    command = ["awk", "-v", f"lr={lr}", "-v", f"seed={trial.number}", "-f", "train.awk", "cancer.csv"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(re.findall(r"validation loss ([0-9.]+)", done.stdout)[-1])


if __name__ == "__main__":
    study = optuna.load_study(study_name="cancer", storage="sqlite:///study.db")
    study.optimize(objective, n_trials=8)
    print(study.best_params, study.best_value)

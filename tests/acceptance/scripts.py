"""An Optuna script that needs no time."""

SCRIPT = """
import math
import optuna

def objective(trial):
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    for step in range(3):
        trial.report(math.log10(lr / 0.01) ** 2 + 1 / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return math.log10(lr / 0.01) ** 2

if __name__ == "__main__":
    raise SystemExit("run as a program")
"""

"""A training function that trains nothing."""

import stride


@stride.objective(
    space={
        "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "steps": {"type": "int", "low": 1, "high": 100_000},
    },
    metric="loss",
    steps="steps",
)
def train(trial: stride.Trial) -> None:
    for step in range(1, trial.params["steps"] + 1):
        trial.report(step=step, loss=trial.params["learning_rate"])

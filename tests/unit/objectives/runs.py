"""Short runs, and those that must go on in another process as if nothing had happened.

Run:    python -m tests.unit.objectives.runs FOLDER
goes on from each state in the folder, and writes there what came out of it.
"""

import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from objectives.contract import Measurement, Run
from objectives.parameters.choices import OPTIMIZERS, SCHEDULES
from objectives.tasks.image_classification import start
from objectives.training.supervised import SupervisedRun

EPOCHS = 4
BATCH = 256
ENDED = "ended.json"
PAIRS = [
    *(("sgd", schedule) for schedule in SCHEDULES),
    *((optimizer, schedule) for optimizer in OPTIMIZERS[1:] for schedule in ("cosine", "cyclical", "plateau")),
]
"""Optimizers and schedules: every schedule, and each optimizer under one that only sets rates, one that cycles momentum, and one
that has a state."""


def begin(settings: dict[str, Any] | None = None, *, seed: int = 0, **params: Any) -> SupervisedRun:
    run = start({"epochs": EPOCHS, "batch_size": BATCH} | params, settings or {}, seed, "cpu", 1)
    assert isinstance(run, SupervisedRun)
    return run


def train(run: Run, n_steps: int | None = None) -> list[Measurement]:
    """The next measurements, or all, without what depends on the clock."""
    return [timeless(measurement) for measurement in islice(run, n_steps)]


def timeless(measurement: Measurement) -> Measurement:
    metrics = {name: value for name, value in measurement.metrics.items() if name != "samples_per_second"}
    return replace(measurement, seconds=0.0, metrics=metrics)


def weights_of(run: SupervisedRun) -> torch.Tensor:
    return torch.cat([weights.flatten() for weights in run.state_dict()["model"].values()])


CHOICES: dict[str, dict[str, Any]] = {
    **{
        f"{optimizer}, {schedule}": {"optimizer": optimizer, "schedule": schedule, "warmup_fraction": 0.1, "plateau_patience": 0}
        for optimizer, schedule in PAIRS
    },
    "nesterov": {"nesterov": True},
    "cycled momentum": {"optimizer": "rmsprop", "schedule": "one-cycle", "base_momentum": 1e-9, "max_momentum": 1e-9},
    "batch norm": {"normalization": "batch"},
    "dropout": {"dropout": 0.5},
    "snapshots": {"schedule": "cosine-restarts", "restart_epochs": 1, "restart_factor": 1, "snapshot_ensemble": 2},
    "layer rates": {"layer_decay": 0.5, "schedule": "one-cycle"},
    "unfreezing": {"unfreeze_every": 1, "optimizer": "adam", "schedule": "one-cycle", "clip_norm": 0.5},
    "clipping": {"clip_norm": 0.5, "clip_value": 0.01},
    "early stopping": {"early_stopping_patience": 1, "learning_rate": 0.3},
}
"""Of hyperparameters: for each, a run that is interrupted must end as one that is not."""


def end_of(run: SupervisedRun) -> list[Any]:
    """Train to the end; what comes out of it, as JSON has it, without losing a bit."""
    measurements = train(run)
    return [repr(measurements), weights_of(run).numpy().tobytes().hex(), run.evaluate()]


def go_on(folder: Path) -> None:
    ended = {}
    for name, choices in CHOICES.items():
        run = begin(**choices)
        run.load_state_dict(torch.load(folder / name, weights_only=True))
        ended[name] = end_of(run)
    (folder / ENDED).write_text(json.dumps(ended))


if __name__ == "__main__":
    go_on(Path(sys.argv[1]))

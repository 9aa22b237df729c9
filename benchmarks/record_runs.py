"""Records real training runs of every kind, good and bad: curves with labels given by people, on which diagnosis is judged.

Run:    python -m benchmarks.record_runs          some minutes
Writes: benchmarks/curves/real_runs.jsonl, a run a line

The labels, in benchmarks/curves/real_runs_labels.jsonl, were given by eye, from plots of these curves alone: see
benchmarks/diagnosis.py. After a new recording the curves must be labelled again.
"""

import json
import math
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from objectives.contract import Measurement

FOLDER = Path(__file__).parent / "curves"
RUNS = FOLDER / "real_runs.jsonl"
UPDATE_LOSSES = 300
"""Kept of each run."""

IMAGES, CLASSES, VALUES = "image_classification", "tabular_classification", "tabular_regression"
CNN, RESNET = {"model": "cnn"}, {"model": "resnet"}
WINE = {"dataset": "wine"}

Choice = tuple[str, dict[str, Any], dict[str, Any]]
"""Objective, settings, parameters."""


def choices() -> Iterator[Choice]:
    """What is trained."""
    for rate in (1e-5, 1e-4, 3e-4, 1e-3, 0.01, 0.1, 0.3, 0.6, 1.0, 2.0, 10.0):
        yield IMAGES, {}, {"learning_rate": rate, "epochs": 20}
    for rate in (1e-4, 1e-3, 0.02, 0.2, 0.5, 1.0, 3.0):
        yield IMAGES, CNN, {"learning_rate": rate, "epochs": 15}
    for rate in (1e-3, 0.05, 1.0):
        yield IMAGES, RESNET, {"learning_rate": rate, "epochs": 8}
    for schedule in ("step", "cosine", "cosine-restarts", "cyclical", "one-cycle", "plateau", "warmup-stable-decay"):
        yield IMAGES, {}, {"schedule": schedule, "learning_rate": 0.05, "epochs": 25}
    yield IMAGES, {}, {"schedule": "one-cycle", "learning_rate": 1.0, "epochs": 25}
    yield IMAGES, {}, {"schedule": "cosine", "learning_rate": 1e-4, "epochs": 40}
    yield IMAGES, {}, {"schedule": "exponential", "learning_rate": 0.02, "epochs": 40, "decay_per_epoch": 0.5}
    yield IMAGES, {}, {"learning_rate": 0.05, "epochs": 120}
    yield IMAGES, {}, {"learning_rate": 0.05, "epochs": 60, "dropout": 0.5}
    yield IMAGES, {}, {"learning_rate": 0.05, "epochs": 30, "label_smoothing": 0.2}
    yield IMAGES, {}, {"learning_rate": 0.02, "epochs": 20, "normalization": "batch", "batch_size": 8}
    yield IMAGES, {}, {"learning_rate": 0.02, "epochs": 20, "clip_norm": 0.05}
    yield IMAGES, {}, {"learning_rate": 0.5, "epochs": 20, "clip_norm": 1.0}
    yield IMAGES, {}, {"learning_rate": 0.02, "epochs": 20, "weight_decay": 0.3}
    yield IMAGES, {}, {"learning_rate": 0.1, "epochs": 12, "momentum": 0.99}
    for layers in (6, 10):
        for activation in ("sigmoid", "tanh", "relu"):
            yield IMAGES, {"hidden_layers": layers}, {"activation": activation, "learning_rate": 0.05, "epochs": 12}
    yield IMAGES, {"hidden_layers": 10}, {"initialization": "default", "learning_rate": 0.05, "epochs": 12}
    yield IMAGES, {"hidden_layers": 10}, {"activation": "sigmoid", "normalization": "batch", "learning_rate": 0.05, "epochs": 12}
    for optimizer, rate in (
        ("adam", 1e-3),
        ("adam", 0.05),
        ("adam", 1.0),
        ("adamw", 1e-5),
        ("rmsprop", 1e-3),
        ("rmsprop", 0.1),
        ("adagrad", 0.01),
        ("adagrad", 1.0),
    ):
        yield IMAGES, {}, {"optimizer": optimizer, "learning_rate": rate, "epochs": 15}
    for rate in (1e-4, 0.01, 0.1, 1.0, 5.0):
        yield CLASSES, {}, {"learning_rate": rate, "epochs": 30}
    yield CLASSES, {}, {"learning_rate": 0.1, "epochs": 150}
    yield CLASSES, {}, {"learning_rate": 0.1, "epochs": 60, "early_stopping_patience": 5}
    yield CLASSES, {}, {"loss": "mse", "learning_rate": 0.01, "epochs": 30}
    for rate in (1e-3, 0.3):
        yield CLASSES, WINE, {"learning_rate": rate, "epochs": 30}
    for rate in (1e-5, 3e-4, 1e-3, 0.01, 0.05, 0.3):
        yield VALUES, {}, {"learning_rate": rate, "epochs": 30}
    yield VALUES, {}, {"learning_rate": 0.003, "epochs": 200}
    yield VALUES, {}, {"learning_rate": 0.003, "epochs": 100, "dropout": 0.5, "weight_decay": 0.01}
    yield VALUES, {}, {"learning_rate": 0.003, "epochs": 60, "schedule": "cosine"}
    yield VALUES, {}, {"loss": "mae", "learning_rate": 0.01, "epochs": 60}
    yield VALUES, {}, {"optimizer": "adam", "learning_rate": 0.01, "epochs": 60}
    yield VALUES, {"width": 8}, {"learning_rate": 0.01, "epochs": 40}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with RUNS.open("w", encoding="utf-8") as file:
        for number, (objective, settings, params) in enumerate(choices()):
            start = import_module(f"objectives.tasks.{objective}").start
            measurements = list(start(params, settings, 0, "cpu", 1))
            run = {"run": number, "objective": objective, "settings": settings, "params": params}
            file.write(json.dumps(run | {"steps": steps_of(measurements)}) + "\n")
            print(number, objective, settings, params, f"{len(measurements)} steps", flush=True)


def steps_of(measurements: list[Measurement]) -> list[dict[str, Any]]:
    """The measurements with four digits, which is more than eyes see; nan and inf as Python writes them: JSON has neither."""
    n_losses = sum(len(measurement.update_losses) for measurement in measurements)
    every = math.ceil(n_losses / UPDATE_LOSSES)
    steps, seen = [], 0
    for measurement in measurements:
        losses = [pair for index, pair in enumerate(measurement.update_losses, start=seen) if index % every == 0]
        seen += len(measurement.update_losses)
        steps.append(
            {
                "step": measurement.step,
                "fraction": measurement.fraction,
                "in_warmup": measurement.in_warmup,
                "learning_rate": short(measurement.learning_rate),
                "metrics": {name: short(value) for name, value in measurement.metrics.items() if name != "samples_per_second"},
                "update_losses": [(update, short(loss)) for update, loss in losses],
                "divergence": measurement.divergence.reason if measurement.divergence else None,
            }
        )
    return steps


def short(value: float) -> float:
    return float(f"{value:.4g}")


if __name__ == "__main__":
    main()

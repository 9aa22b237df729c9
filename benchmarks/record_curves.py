"""Records how 13 learning rates train under three schedules: curves on which early stopping is replayed.

Run:    python -m benchmarks.record_curves          two to four minutes
Writes: benchmarks/curves/<network>_<schedule>.json

Two small networks learn handwritten digits for 16 epochs of gradient descent with momentum. Each rate is twice
the one before: from rates that are too slow, through the usual 0.001 to 0.1, to beyond the divergence edge, or to where the
network predicts a constant. The seed fixes weights and data order.
"""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import torch

from objectives.tasks.image_classification import start

NETWORKS = ("cnn", "mlp")
SCHEDULES = {"constant": "constant", "cosine": "cosine", "one_cycle": "one-cycle"}
"""By the name in the file: the objective's."""
LEARNING_RATES = [0.001 * 2**doublings for doublings in range(13)]
SEEDS = range(5)
EPOCHS = 16
BATCH_SIZE = 128
MOMENTUM = 0.9
RISING = 0.3
"""The part of its schedule in which one-cycle raises the rate to its largest, by default."""

FOLDER = Path(__file__).parent / "curves"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for network in NETWORKS:
        for schedule in SCHEDULES:
            curves = [train(network, schedule, rate, seed) for seed in SEEDS for rate in LEARNING_RATES]
            (FOLDER / f"{network}_{schedule}.json").write_text(as_json(network, schedule, curves), encoding="utf-8")
            print(f"{network}, {schedule}: {sum(bool(curve['diverged']) for curve in curves)} of {len(curves)} diverged")


def train(network: str, schedule: str, learning_rate: float, seed: int) -> dict[str, object]:
    """Train once, until the end or until it diverges; the validation loss after every epoch."""
    params = {
        "learning_rate": learning_rate,
        "schedule": SCHEDULES[schedule],
        "epochs": EPOCHS,
        "batch_size": BATCH_SIZE,
        "momentum": MOMENTUM,
    }
    measurements = list(start(params, {"model": network}, seed, "cpu", 1))
    divergence = measurements[-1].divergence
    validation_losses = [measurement.metrics["validation_loss"] for measurement in measurements]
    return {
        "seed": seed,
        "learning_rate": learning_rate,
        "diverged": divergence.reason if divergence else None,
        "validation_loss": [float(f"{loss:.5g}") if math.isfinite(loss) else None for loss in validation_losses],
    }


def as_json(network: str, schedule: str, curves: list[dict[str, object]]) -> str:
    """One line a curve. `fraction` and `in_warmup` are of the ends of the epochs, the same in every curve."""
    fractions = [epoch / EPOCHS for epoch in range(1, EPOCHS + 1)]
    head = {
        "recorded": f"by benchmarks/record_curves.py with torch {torch.__version__.split('+')[0]}, {datetime.now(UTC):%Y-%m-%d}",
        "network": network,
        "schedule": schedule,
        "batch_size": BATCH_SIZE,
        "momentum": MOMENTUM,
        "fraction": fractions,
        "in_warmup": [schedule == "one_cycle" and fraction < RISING for fraction in fractions],
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
    rows = ",\n".join(f"    {json.dumps(curve)}" for curve in curves)
    return "{\n" + ",\n".join(lines) + f',\n  "curves": [\n{rows}\n  ]\n}}\n'


if __name__ == "__main__":
    main()

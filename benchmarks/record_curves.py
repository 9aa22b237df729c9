"""How 13 learning rates train under three schedules: curves to replay early stopping on.

Run:    python -m benchmarks.record_curves          two to four minutes
Writes: benchmarks/curves/<network>_<schedule>.json

Two small networks learn handwritten digits for 16 epochs of gradient descent with momentum. Each rate is twice
the last: from where training is too slow, over the usual 0.001 to 0.1, to beyond the edge where it diverges, or where the network
dies and only guesses. The seed fixes weights and data order.
"""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, OneCycleLR

from objectives.data.digits import digits
from objectives.divergence import find_divergence
from objectives.generators import named_generator
from objectives.initialization import initialize
from objectives.models.cnn import cnn
from objectives.models.mlp import mlp

NETWORKS = {"cnn": cnn, "mlp": mlp}
SCHEDULES = ("constant", "cosine", "one_cycle")
LEARNING_RATES = [0.001 * 2**doublings for doublings in range(13)]
SEEDS = range(5)
EPOCHS = 16
BATCH_SIZE = 128
MOMENTUM = 0.9
RISING = 0.3
"""The part of its schedule in which OneCycleLR raises the rate to its largest, by default."""

FOLDER = Path(__file__).parent / "curves"
DATA = digits()
UPDATES = len(DATA.training.labels) // BATCH_SIZE
"""In an epoch; the few images left over wait for the next order."""


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for network in NETWORKS:
        for schedule in SCHEDULES:
            curves = [train(network, schedule, rate, seed) for seed in SEEDS for rate in LEARNING_RATES]
            (FOLDER / f"{network}_{schedule}.json").write_text(as_json(network, schedule, curves), encoding="utf-8")
            print(f"{network}, {schedule}: {sum(bool(curve['diverged']) for curve in curves)} of {len(curves)} diverged")


def train(network: str, schedule: str, learning_rate: float, seed: int) -> dict[str, object]:
    """Train once, until the end or until it diverges; the validation loss after every epoch."""
    model = NETWORKS[network](DATA.image_shape, DATA.n_classes)
    initialize(model, named_generator(seed, "initialization"))
    data_order = named_generator(seed, "data order")
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=MOMENTUM)
    scheduler = new_scheduler(schedule, optimizer, learning_rate)
    validation_losses: list[float] = []
    divergence = None
    for epoch in range(1, EPOCHS + 1):
        losses = train_epoch(model, optimizer, scheduler, data_order)
        with torch.inference_mode():
            validation_loss = cross_entropy(model(DATA.validation.images), DATA.validation.labels).item()
        validation_losses.append(validation_loss)
        divergence = find_divergence(
            losses,
            validation_loss,
            guessing_loss=math.log(DATA.n_classes),
            epoch=epoch,
            epochs=EPOCHS,
            updates_per_epoch=UPDATES,
        )
        if divergence is not None:
            break
    return {
        "seed": seed,
        "learning_rate": learning_rate,
        "diverged": divergence.reason if divergence else None,
        "validation_loss": [float(f"{loss:.5g}") if math.isfinite(loss) else None for loss in validation_losses],
    }


def new_scheduler(schedule: str, optimizer: torch.optim.Optimizer, learning_rate: float) -> LRScheduler:
    """One that is stepped after every update. OneCycleLR's other arguments are PyTorch's: it cycles the momentum, too."""
    match schedule:
        case "constant":
            return ConstantLR(optimizer, factor=1.0)
        case "cosine":
            return CosineAnnealingLR(optimizer, T_max=EPOCHS * UPDATES)
        case "one_cycle":
            return OneCycleLR(optimizer, max_lr=learning_rate, total_steps=EPOCHS * UPDATES)
    raise ValueError(schedule)


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: LRScheduler, data_order: torch.Generator
) -> list[float]:
    """Update once per batch; the losses, which end early at one that is not finite."""
    losses: list[float] = []
    order = torch.randperm(len(DATA.training.labels), generator=data_order)[: UPDATES * BATCH_SIZE]
    for batch in order.split(BATCH_SIZE):
        optimizer.zero_grad()
        loss = cross_entropy(model(DATA.training.images[batch]), DATA.training.labels[batch])
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        loss.backward()
        optimizer.step()
        scheduler.step()
    return losses


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

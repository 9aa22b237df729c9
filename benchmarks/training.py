"""Epochs a second: Stride's run beside a bare loop on the same batches, and beside the usual DataLoader loop.

Run:    python -m benchmarks.training [--repeats 9] [--out benchmarks/results]      about two minutes

The bare loop does forward, backward and step on batches of the training set in a new order, sliced in memory, and nothing else:
no validation, no measurement. Stride's epoch does everything that it does in a trial. "updates" is its part without validation,
whose cost depends on how large a data set's validation set is: on digits it is a third of the training set. The DataLoader loop
is PyTorch's tutorial: TensorDataset, shuffle, zero_grad, loss.item(). They take turns, epoch by epoch.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.tables import Table, publish
from objectives.data.digits import digits
from objectives.models.layers import PLAIN
from objectives.tasks.image_classification import MODELS, start
from objectives.training.supervised import SupervisedRun

BATCH_SIZES = (16, 32, 64, 128)
EPOCHS = 12
"""Of each contender in a repeat; the first two are not counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = [
        "model",
        "batch",
        "bare loop, epochs/s",
        "Stride, epochs/s",
        "Stride / bare",
        "its updates / bare",
        "DataLoader / bare",
    ]
    table = Table("Training digits (1,077 images, one thread)", head)
    for model in ("mlp", "cnn"):
        for batch_size in BATCH_SIZES:
            table.add(model, str(batch_size), *compare(model, batch_size, arguments.repeats))
    publish("training", [table], arguments.repeats, arguments.out)


def compare(model: str, batch_size: int, repeats: int) -> list[str]:
    """The cells of a row: each repeat compares the median epochs of contenders that took turns."""
    rates, ours, updates, loaders = [], [], [], []
    for _ in range(repeats):
        contenders = [
            bare(model, batch_size),
            stride(model, batch_size),
            stride_updates(model, batch_size),
            loader(model, batch_size),
        ]
        seconds = [[next(contender) for contender in contenders] for _ in range(EPOCHS)][2:]
        bare_s, stride_s, updates_s, loader_s = (median(column) for column in zip(*seconds, strict=True))
        rates.append((1 / bare_s, 1 / stride_s))
        ours.append(bare_s / stride_s)
        updates.append(bare_s / updates_s)
        loaders.append(bare_s / loader_s)
    bare_rate, our_rate = (median(rate) for rate in zip(*rates, strict=True))
    return [f"{bare_rate:.1f}", f"{our_rate:.1f}", spread(ours), spread(updates), spread(loaders)]


def spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def stride(model: str, batch_size: int) -> Iterator[float]:
    """Seconds of each of Stride's epochs, all that it does included."""
    run = iter(start({"epochs": EPOCHS, "batch_size": batch_size}, {"model": model}, 0, "cpu", 1))
    while True:
        yield timed(lambda: next(run))


def stride_updates(model: str, batch_size: int) -> Iterator[float]:
    """Seconds that the updates of Stride's epochs take, with their measurements and their audit."""
    run = start({"epochs": EPOCHS, "batch_size": batch_size}, {"model": model}, 0, "cpu", 1)
    assert isinstance(run, SupervisedRun)
    for measurement in run:
        yield len(digits().training) // batch_size * batch_size / measurement.metrics["samples_per_second"]


def bare(model: str, batch_size: int) -> Iterator[float]:
    network, optimizer = fresh(model)
    inputs, targets = digits().training.inputs, digits().training.targets

    def epoch() -> None:
        order = torch.randperm(len(inputs))[: len(inputs) // batch_size * batch_size]
        for some_inputs, some_targets in zip(inputs[order].split(batch_size), targets[order].split(batch_size), strict=True):
            optimizer.zero_grad()
            cross_entropy(network(some_inputs), some_targets).backward()
            optimizer.step()

    while True:
        yield timed(epoch)


def loader(model: str, batch_size: int) -> Iterator[float]:
    network, optimizer = fresh(model)
    dataset = TensorDataset(digits().training.inputs, digits().training.targets)
    batches = DataLoader(dataset, batch_size, shuffle=True, drop_last=True)

    def epoch() -> None:
        total = 0.0
        for some_inputs, some_targets in batches:
            optimizer.zero_grad()
            loss = cross_entropy(network(some_inputs), some_targets)
            loss.backward()
            optimizer.step()
            total += loss.item()

    while True:
        yield timed(epoch)


def fresh(model: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network as Stride's, and plain PyTorch's optimizer, with its own default of how to loop over the weights."""
    network = MODELS[model](digits().input_shape, 10, PLAIN)
    return network, torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

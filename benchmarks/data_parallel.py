"""One trial over two processes: what it computes, and how fast it is, beside one process on the same batches.

Run:    python -m benchmarks.data_parallel [--repeats 5] [--out benchmarks/results]      about two minutes on two idle cores

The result: the largest difference in the losses of 51 updates, in the validation losses and in the test loss. Speed: examples a
second within updates, in the small default networks and in larger ones. The exchange: updates of a network whose gradients two
processes add up by one all-reduce of the flat gradient vector, as Stride's runs do, or by DistributedDataParallel, the usual way.
Contenders take turns. Where others use the machine, rates say little, since two processes get twice the share of one; the CPU
time that both take together says how much the exchange costs.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from benchmarks.tables import Table, publish
from objectives.models.layers import PLAIN
from objectives.models.mlp import mlp
from objectives.parallel.kept import end_ranks
from objectives.parallel.launch import NoFiles
from objectives.tasks.image_classification import start
from objectives.training.gradients import FlatGradients
from objectives.training.ranks import Ranks

AIM = 1e-5
SGD: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.02}
ADAM: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.003}
SCALED: dict[str, Any] = {"learning_rate_scaling": "linear", "warmup_fraction": 0.2, "learning_rate": 0.01}
TRAINED = (("mlp", SGD), ("mlp", ADAM), ("mlp", SCALED), ("cnn", SGD), ("cnn", ADAM))
NETWORKS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"model": "mlp"}, 64),
    ({"model": "mlp", "width": 1024}, 512),
    ({"model": "cnn"}, 64),
    ({"model": "cnn"}, 512),
)
"""Settings and batch size."""
EXCHANGED = ((128, 32), (1024, 32), (1024, 256))
"""Width of an mlp, and the examples of each process in an update."""
EPOCHS = 20
"""Of a repeat; the first is not counted."""
UPDATES = 40
"""Of a repeat; the first ten are not counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    results, _ = _results()
    publish("data_parallel", [results, _speed(arguments.repeats), _exchange(arguments.repeats)], arguments.repeats, arguments.out)


def prove(out: Path | None) -> int:
    """Publish what two processes compute beside one; the number of results that differ by more than AIM."""
    table, missed = _results()
    publish("data_parallel_results", [table], 1, out)
    return missed


def _results() -> tuple[Table, int]:
    table = Table(
        "Losses of two processes beside those of one", ["network", "parameters", "updates", "largest difference", "kept"]
    )
    of_one = [_losses(model, params, 1) for model, params in TRAINED]
    missed = 0
    for (model, params), alone in zip(TRAINED, of_one, strict=True):
        together = _losses(model, params, 2)
        difference = max(abs(one - two) for one, two in zip(alone, together, strict=True))
        missed += difference > AIM
        described = ", ".join(f"{name} {value}" for name, value in params.items())
        table.add(model, described, "51", f"{difference:.1e}", "yes" if difference <= AIM else "NO")
    end_ranks()
    return table, missed


def _losses(model: str, params: dict[str, Any], processes: int) -> list[float]:
    """Of every update, every validation, and the test."""
    run = start({"epochs": 3, "batch_size": 63, **params}, {"model": model, "processes": processes}, 0, "cpu", 1)
    measured = list(run)
    of_updates = [loss for each in measured for _, loss in each.update_losses]
    assert len(of_updates) == 51
    return [*of_updates, *(each.metrics["validation_loss"] for each in measured), run.evaluate()["test_loss"]]


def _speed(repeats: int) -> Table:
    head = [
        "network",
        "batch",
        "one process",
        "two processes",
        "two / one (range)",
        "CPU time, two / one (range)",
        "start of two, s",
    ]
    table = Table(f"Examples a second, one thread each, {_load()}", head)
    for settings, batch_size in NETWORKS:
        one, two = [], []
        for _ in range(repeats):
            one.append(_measured(settings, batch_size, 1))
            two.append(_measured(settings, batch_size, 2))
        rates = [[each.samples_per_second for each in of] for of in (one, two)]
        costs = [[each.cpu_s for each in of] for of in (one, two)]
        described = ", ".join(f"{name} {value}" for name, value in settings.items())
        cells = (f"{median(rates[0]):,.0f}", f"{median(rates[1]):,.0f}", _ratio(*rates), _ratio(*costs))
        table.add(described, str(batch_size), *cells, f"{median(each.start_s for each in two):.1f}")
    end_ranks()
    return table


def _ratio(one: Sequence[float], two: Sequence[float]) -> str:
    ratios = sorted(second / first for first, second in zip(one, two, strict=True))
    return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


@dataclass(frozen=True, kw_only=True)
class _Measured:
    samples_per_second: float
    """Of the median epoch, within updates."""
    start_s: float
    cpu_s: float
    """Of all processes, with validation."""


def _measured(settings: dict[str, Any], batch_size: int, processes: int) -> _Measured:
    end_ranks()  # else the start of two is told without their launch, and the CPU time of one with theirs
    began = time.perf_counter()
    run = start({"epochs": EPOCHS, "batch_size": batch_size}, {**settings, "processes": processes}, 0, "cpu", 1)
    start_s = time.perf_counter() - began
    steps = iter(run)
    next(steps)
    cpu_s = _cpu_s()
    rates = [each.metrics["samples_per_second"] for each in steps]
    return _Measured(samples_per_second=median(rates), start_s=start_s, cpu_s=_cpu_s() - cpu_s)


def _cpu_s() -> float:
    """CPU time of this process and of all below it."""
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _exchange(repeats: int) -> Table:
    table = Table(
        f"Milliseconds of an update of two processes, {_load()}",
        ["network", "weights", "examples each", "flat vector", "DistributedDataParallel", "DistributedDataParallel / flat"],
    )
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id="exchange",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        start_method="fork",
        logs_specs=NoFiles(),
    )
    measured = elastic_launch(config, _in_rank)(repeats)[0]
    for (width, n), (n_weights, flat, usual) in zip(EXCHANGED, measured, strict=True):
        ratio = median(theirs / ours for ours, theirs in zip(flat, usual, strict=True))
        cells = (f"{1000 * median(flat):.2f}", f"{1000 * median(usual):.2f}", f"{ratio:.2f}")
        table.add(f"mlp, width {width}", f"{n_weights:,}", str(n), *cells)
    return table


def _load() -> str:
    """What others used of the machine before."""
    return f"at a load of {os.getloadavg()[0]:.1f}"


def _in_rank(repeats: int) -> list[tuple[int, list[float], list[float]]]:
    """For each of EXCHANGED: the number of weights, and the seconds of an update in every repeat, the flat vector's first."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    measured = []
    for width, n in EXCHANGED:
        network = partial(mlp, (1, 8, 8), 10, PLAIN, hidden_layers=2, width=width)
        contenders = (_flat(network(), n), _usual(network(), n))
        seconds: list[list[float]] = [[], []]
        for _ in range(repeats):
            for update, kept in zip(contenders, seconds, strict=True):
                kept.append(_seconds(update))
        measured.append((sum(weights.numel() for weights in network().parameters()), *seconds))
    dist.destroy_process_group()
    return measured


def _flat(model: nn.Module, n: int) -> Callable[[], None]:
    gradients, ranks = FlatGradients(model), Ranks(dist.get_rank(), 2)

    def backward(images: torch.Tensor, classes: torch.Tensor) -> None:
        gradients.zero()
        loss = cross_entropy(model(images), classes) / 2
        loss.backward()
        gradients.sum(ranks, loss.detach())

    return partial(_update, model, n, backward)


def _usual(model: nn.Module, n: int) -> Callable[[], None]:
    together = DistributedDataParallel(model)

    def backward(images: torch.Tensor, classes: torch.Tensor) -> None:
        model.zero_grad()
        cross_entropy(together(images), classes).backward()

    return partial(_update, model, n, backward)


def _update(model: nn.Module, n: int, backward: Callable[[torch.Tensor, torch.Tensor], None]) -> None:
    backward(torch.rand(n, 1, 8, 8), torch.randint(10, (n,)))
    with torch.no_grad():
        for weights in model.parameters():
            assert weights.grad is not None
            weights -= 0.01 * weights.grad


def _seconds(update: Callable[[], None]) -> float:
    """Of the median update."""
    seconds = []
    for _ in range(UPDATES):
        began = time.perf_counter()
        update()
        seconds.append(time.perf_counter() - began)
    return median(seconds[10:])


if __name__ == "__main__":
    main()

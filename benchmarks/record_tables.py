"""Records final costs of real training at every point of small tables, from which benchmarks/answer_quality_real.py draws jobs.

Run:    make sweeps, or python -m benchmarks.record_tables [digits wine ...]
Writes: benchmarks/recorded/tables/<table>.csv, a point a line, a column for each training seed

A cost is the metric after the last step, negative where the metric is maximized; inf where the run diverged.
The seed fixes weights and data order, the same at all points of the same batch size. A table that is there is left as it is, and
a recording that was interrupted is continued. Delete a table to record it again.
"""

import argparse
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from objectives.catalog import BUILTIN
from objectives.contract import Metric

FOLDER = Path(__file__).parent / "recorded" / "tables"

Point = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What one table holds."""

    objective: str
    settings: dict[str, Any]
    params: dict[str, Any] = field(default_factory=dict)
    """Those that all points share; others have their defaults."""
    points: Sequence[Point]
    n_seeds: int
    metric: str | None = None
    """None: the objective's default one."""


def rates(first: int, last: int, per_decade: float) -> list[float]:
    """Learning rates 10 ** (i / per_decade), i from first to last, to four digits."""
    return [float(f"{10 ** (index / per_decade):.4g}") for index in range(first, last + 1)]


def _digits() -> Iterator[Point]:
    for batch_size in (16, 32, 64, 128):
        for momentum in (0.0, 0.5, 0.8, 0.9, 0.95):
            for rate in rates(-30, 0, 7.5):  # 1e-4 to 1
                yield {"learning_rate": rate, "batch_size": batch_size, "momentum": momentum}
    for batch_size in (256, 512):  # how the best rate goes with the batch size
        for rate in rates(-26, 4, 7.5):  # 3.4e-4 to 3.4
            yield {"learning_rate": rate, "batch_size": batch_size, "momentum": 0.9}


def _between(first: int, last: int, per_decade: float) -> list[Point]:
    return [{"learning_rate": rate} for rate in rates(first, last, per_decade)]


ADDING, SHORT = {"problem": "adding", "length": 50}, {"epochs": 3}
"""A shorter problem than the default one, and for fewer epochs: a third of the time."""

RECIPES = {
    "wine": Recipe(
        objective="tabular-classification",
        settings={"dataset": "wine"},
        params={"epochs": 20},
        points=_between(-30, 6, 6),
        n_seeds=12,
    ),
    "wine_accuracy": Recipe(
        objective="tabular-classification",
        settings={"dataset": "wine"},
        params={"epochs": 20},
        points=_between(-20, 4, 4),
        n_seeds=10,
        metric="validation_accuracy",
    ),
    "breast_cancer": Recipe(
        objective="tabular-classification",
        settings={"dataset": "breast-cancer"},
        params={"epochs": 20},
        points=_between(-30, 6, 6),
        n_seeds=12,
    ),
    "diabetes": Recipe(
        objective="tabular-regression", settings={}, params={"epochs": 30}, points=_between(-30, 6, 6), n_seeds=12
    ),
    "digits": Recipe(
        objective="image-classification", settings={"model": "mlp"}, params={"epochs": 10}, points=list(_digits()), n_seeds=10
    ),
    "fine_tuning": Recipe(objective="fine-tuning", settings={}, points=_between(-14, 2, 4), n_seeds=10),
    "from_scratch": Recipe(objective="fine-tuning", settings={"pretrained": "none"}, points=_between(-14, 2, 4), n_seeds=10),
    "control": Recipe(objective="reinforcement-learning", settings={}, points=_between(-15, -3, 3), n_seeds=5),
    "text_bag": Recipe(objective="text-classification", settings={"model": "bag"}, points=_between(-14, 0, 4), n_seeds=8),
    "text_gru": Recipe(objective="text-classification", settings={"model": "gru"}, points=_between(-14, -2, 4), n_seeds=5),
    "adding": Recipe(objective="long-range", settings=ADDING, params=SHORT, points=_between(-14, -2, 4), n_seeds=5),
    "adding_unclipped": Recipe(
        objective="long-range", settings=ADDING, params=SHORT | {"clip_norm": 0.0}, points=_between(-14, -2, 4), n_seeds=5
    ),
    "few_shot": Recipe(objective="few-shot-regression", settings={}, points=_between(-12, -2, 4), n_seeds=5),
    "dates": Recipe(objective="sequence-to-sequence", settings={}, params={"epochs": 3}, points=_between(-10, -3, 3), n_seeds=3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"of {', '.join(RECIPES)}; left out: all that are not there")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in arguments.tables or RECIPES:
        record(name, RECIPES[name], arguments.processes)


def record(name: str, recipe: Recipe, processes: int) -> None:
    """Train the points that the table lacks; each line is written when it is done, and all have their name at the end."""
    path, names = FOLDER / f"{name}.csv", list(recipe.points[0])
    if path.exists():
        return
    partly = path.with_suffix(".csv.partial")
    done = {tuple(line.split(",")[: len(names)]) for line in _whole_lines(partly)[2:]}
    if not done:
        columns = [*names, *(f"seed{seed}" for seed in range(recipe.n_seeds))]
        partly.write_text(f"# {_said(recipe)}\n{','.join(columns)}\n", encoding="utf-8")
    missing = [point for point in recipe.points if _key(point) not in done]
    runs = [(point, seed) for point in missing for seed in range(recipe.n_seeds)]
    # Each process is started anew: torch may have threads already in this one.
    with partly.open("a", encoding="utf-8") as file, get_context("spawn").Pool(processes) as pool:
        costs = pool.imap(partial(_train, recipe), runs)
        for number, point in enumerate(missing, start=1):
            file.write(",".join([*_key(point), *(f"{next(costs):.4g}" for _ in range(recipe.n_seeds))]) + "\n")
            file.flush()
            print(f"{name}: {number} of {len(missing)}", flush=True)
    partly.rename(path)


def _said(recipe: Recipe) -> str:
    """What a table holds, in words."""
    params = ", ".join(f"{name} {value}" for name, value in recipe.params.items())
    metric = metric_of(recipe)
    cost = metric.name if metric.direction == "minimize" else f"-{metric.name}"
    return (
        f"{recipe.objective} {recipe.settings}, {params or 'defaults'}: {cost} after the last step, inf where diverged; by"
        f" benchmarks/record_tables.py, torch {version('torch').split('+')[0]}"
    )


def _key(point: Point) -> tuple[str, ...]:
    return tuple(f"{value:g}" for value in point.values())


def _whole_lines(path: Path) -> list[str]:
    """The lines written; one that was cut off is taken out of the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()


def _train(recipe: Recipe, run: tuple[Point, int]) -> float:
    return train(recipe, *run)


def train(recipe: Recipe, point: Mapping[str, Any], seed: int) -> float:
    """The cost of one training run, inf when it diverges."""
    start = import_module(f"objectives.tasks.{recipe.objective.replace('-', '_')}").start
    last = list(start({**recipe.params, **point}, recipe.settings, seed, "cpu", 1))[-1]
    metric = metric_of(recipe)
    cost = float(last.metrics[metric.name]) * (1 if metric.direction == "minimize" else -1)
    return cost if last.divergence is None and math.isfinite(cost) else math.inf


def metric_of(recipe: Recipe) -> Metric:
    """The metric whose costs a table holds."""
    metrics = next(known for known in BUILTIN if known.name == recipe.objective).metrics
    return next(metric for metric in metrics if recipe.metric in (None, metric.name))


if __name__ == "__main__":
    main()

"""Records final costs of real training at every point of small tables, from which benchmarks/answer_quality_real.py draws jobs.

Run:    python -m benchmarks.record_tables [digits wine ...]        about a quarter of an hour on one core
Writes: benchmarks/recorded/tables/<table>.csv, a point a line, a column for each training seed

A cost is the objective's default metric, the validation loss, after the last epoch; inf where the run diverged. The seed fixes
weights and data order, the same at all points of the same batch size. A recording that was interrupted is continued. Delete a
table to record it again.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from objectives.catalog import BUILTIN

FOLDER = Path(__file__).parent / "recorded" / "tables"

Point = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What one table holds."""

    objective: str
    settings: dict[str, Any]
    epochs: int
    points: Sequence[Point]
    n_seeds: int


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


def _alone() -> list[Point]:
    return [{"learning_rate": rate} for rate in rates(-30, 6, 6)]  # 1e-5 to 10


RECIPES = {
    "wine": Recipe(objective="tabular-classification", settings={"dataset": "wine"}, epochs=20, points=_alone(), n_seeds=12),
    "breast_cancer": Recipe(
        objective="tabular-classification", settings={"dataset": "breast-cancer"}, epochs=20, points=_alone(), n_seeds=12
    ),
    "diabetes": Recipe(objective="tabular-regression", settings={}, epochs=30, points=_alone(), n_seeds=12),
    "digits": Recipe(objective="image-classification", settings={"model": "mlp"}, epochs=10, points=list(_digits()), n_seeds=10),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="table", help=f"of {', '.join(RECIPES)}; left out: all")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().tables or RECIPES:
        record(name, RECIPES[name])


def record(name: str, recipe: Recipe) -> None:
    """Train the points that the table lacks; each line is written when it is done, and all have their name at the end."""
    path, names = FOLDER / f"{name}.csv", list(recipe.points[0])
    if path.exists():
        return
    partial = path.with_suffix(".csv.partial")
    head = [
        f"# {recipe.objective} {recipe.settings}, {recipe.epochs} epochs: {_metric(recipe)} after the last, inf where diverged;"
        f" by benchmarks/record_tables.py, torch {torch.__version__.split('+')[0]}",
        ",".join([*names, *(f"seed{seed}" for seed in range(recipe.n_seeds))]),
    ]
    done = {tuple(line.split(",")[: len(names)]) for line in _whole_lines(partial)[2:]}
    if not done:
        partial.write_text("\n".join(head) + "\n", encoding="utf-8")
    with partial.open("a", encoding="utf-8") as file:
        for number, point in enumerate(recipe.points):
            key = tuple(f"{value:g}" for value in point.values())
            if key not in done:
                costs = [train(recipe, point, seed) for seed in range(recipe.n_seeds)]
                file.write(",".join([*key, *(f"{cost:.4g}" for cost in costs)]) + "\n")
                file.flush()
                print(f"{name}: {number + 1} of {len(recipe.points)}", flush=True)
    partial.rename(path)


def _whole_lines(path: Path) -> list[str]:
    """The lines written; one that was cut off is taken out of the file."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()


def train(recipe: Recipe, point: Mapping[str, Any], seed: int) -> float:
    """The cost of one training run, inf when it diverges."""
    start = import_module(f"objectives.tasks.{recipe.objective.replace('-', '_')}").start
    last = list(start({**point, "epochs": recipe.epochs}, recipe.settings, seed, "cpu", 1))[-1]
    cost = float(last.metrics[_metric(recipe)])
    return cost if last.divergence is None and math.isfinite(cost) else math.inf


def _metric(recipe: Recipe) -> str:
    return next(known for known in BUILTIN if known.name == recipe.objective).metrics[0].name


if __name__ == "__main__":
    main()

"""Tables of training with Stride's own objectives (benchmarks/record_tables.py): every point with 10 or 12 seeds."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recorded.recorded_set import RATE, RecordedSet, sd_of, truth_of
from benchmarks.recorded.reference import Missing

FOLDER = Path(__file__).parent / "tables"
BATCH_SIZE, MOMENTUM = 32, 0.9
"""Where they are not searched."""
DIGITS: Mapping[str, tuple[str, ...]] = {
    "rate": (),
    "rate x batch": ("batch_size",),
    "rate x momentum": ("momentum",),
    "rate x batch x momentum": ("batch_size", "momentum"),
}
WITHOUT_BARS = {"wine_accuracy"}
"""Only reported: 36 examples tell few accuracies apart, so any rate of three decades will do, and jobs drawn here do not know
that no accuracy is above 1."""
LARGEST_BATCH = 128
"""Larger ones are there with one momentum only."""


def load(name: str, _: str | None = None) -> list[RecordedSet]:
    """A table in all its spaces, which needs no reference files. Raises Missing."""
    if name != "digits":
        return [_in_space(name, "rate", (), {})]
    defaults = {"batch_size": BATCH_SIZE, "momentum": MOMENTUM}
    return [
        _in_space(name, space, others, {key: value for key, value in defaults.items() if key not in others})
        for space, others in DIGITS.items()
    ]


def table(name: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    """The points of a table, and their costs (points, seeds). Raises Missing."""
    path = FOLDER / f"{name}.csv"
    if not path.exists():
        raise Missing(f"the table {name} is not there: python -m benchmarks.record_tables {name}")
    with path.open(encoding="utf-8", newline="") as lines:
        next(lines)  # says what it is
        rows = list(csv.DictReader(lines))
    seeds = [column for column in rows[0] if column.startswith("seed")]
    points = [
        {key: int(value) if key == "batch_size" else float(value) for key, value in row.items() if key not in seeds}
        for row in rows
    ]
    return points, np.array([[float(row[seed]) for seed in seeds] for row in rows])


def _in_space(name: str, space: str, others: tuple[str, ...], fixed: Mapping[str, Any]) -> RecordedSet:
    points, costs = table(name)
    chosen = [
        index
        for index, point in enumerate(points)
        if point.get("batch_size", 0) <= LARGEST_BATCH and all(point[key] == value for key, value in fixed.items())
    ]
    kept, runs = [{key: points[index][key] for key in (RATE, *others)} for index in chosen], costs[chosen]
    rates = [point[RATE] for point in kept]
    searched = {key: {"type": "categorical", "choices": sorted({point[key] for point in kept})} for key in others}
    return RecordedSet(
        name=name.replace("_", " "),
        space=space,
        search_space={RATE: {"type": "float", "low": min(rates), "high": max(rates), "log": True}, **searched, **fixed},
        points=kept,
        runs=runs,
        truth=truth_of(runs),
        sd=sd_of(runs),
        has_bars=name not in WITHOUT_BARS,
    )

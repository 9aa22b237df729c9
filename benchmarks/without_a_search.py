"""What it costs not to tune the learning rate, on digits.     python -m benchmarks.without_a_search

Optimizers that need no learning rate or no schedule, at the rate that their authors give, beside SGD and Adam at their tuned
rates: jobs through a whole Stride with the same training seeds, then GET /v1/compare, a pair at a time. The best point of a tuned
job is chosen by the seeds that it is compared on, so what it gains is somewhat overestimated.
"""

import argparse
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import run_jobs, temporary_stride
from examples.demo import OBJECTIVE, ask

RATES, SEEDS = 11, 5
WORKERS = 2
EPOCHS = 10
RANGE = {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "points": RATES}
TUNED: dict[str, dict[str, Any]] = {
    "sgd, momentum 0.9": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam"},
}
AS_GIVEN: dict[str, dict[str, Any]] = {
    "prodigy": {"optimizer": "prodigy", "learning_rate": 1.0},
    "schedule-free-sgd": {"optimizer": "schedule-free-sgd", "learning_rate": 1.0},
    "schedule-free-adamw": {"optimizer": "schedule-free-adamw", "learning_rate": 0.0025},
    "hypergradient-sgd": {"optimizer": "hypergradient-sgd", "momentum": 0.9, "learning_rate": 0.001},
    "hypergradient-adam": {"optimizer": "hypergradient-adam", "learning_rate": 0.001},
    "adam, not tuned": {"optimizer": "adam", "learning_rate": 0.001},
}
"""The rates are the defaults of the packages, and of the paper for hypergradient descent; Adam's is PyTorch's."""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the report")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prove(arguments.out, arguments.seed)


def prove(out: Path | None, seed: int = 0) -> int:
    """Run the jobs, and publish the table. Nothing is promised, so that no promise can be broken: 0."""
    documents = {name: _job({"learning_rate": RANGE} | recipe, RATES, seed) for name, recipe in TUNED.items()}
    documents |= {name: _job(recipe, 1, seed) for name, recipe in AS_GIVEN.items()}
    with temporary_stride(WORKERS) as stride:
        table = _beside(stride.api, run_jobs(stride.api, documents))
    publish("without_a_search", [table], repeats=1, folder=out)
    return 0


def _job(recipe: dict[str, Any], points: int, seed: int) -> dict[str, Any]:
    return {
        "objective": OBJECTIVE,
        "search_space": {"epochs": EPOCHS} | recipe,
        "strategy": "grid",
        "budget": {"trials": points * SEEDS},
        "replicates": SEEDS,
        "seed": seed,
    }


def _beside(api: httpx2.Client, jobs: dict[str, str]) -> Table:
    """Each job at its given rate beside each tuned one."""
    trials = ", ".join((f"{RATES * SEEDS} trials each for the tuned ones", f"{SEEDS} for the others"))
    table = Table(
        f"Validation loss on digits, {EPOCHS} epochs; intervals of 90% by {SEEDS} paired seeds; {trials}",
        ["optimizer", "learning rate", "loss", *(f"minus tuned {name}" for name in TUNED), "verdicts"],
    )
    for name in AS_GIVEN:
        pairs = [_judged(api, jobs[name], jobs[tuned]) for tuned in TUNED]
        first, rest = pairs[0][0], [_difference(*pair) for pair in pairs]
        table.add(
            name,
            f"{first['learning_rate']['mean']:g}",
            _shown(first["expected"]),
            *rest,
            ", ".join(dict.fromkeys(each["verdict"] for each, _ in pairs)),
        )
    for name in TUNED:
        tuned = _judged(api, jobs["prodigy"], jobs[name])[1]
        table.add(
            f"{name}, tuned",
            f"{tuned['learning_rate']['mean']:.2g}",
            f"{tuned['best_point']['value']:.3g}",
            *["-"] * (len(TUNED) + 1),
        )
    return table


def _judged(api: httpx2.Client, first: str, second: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = ask(api, "GET", "/v1/compare", params={"jobs": [first, second]})
    one, other = found["jobs"]
    return one, other


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Of the first minus the second; the comparison gives that of the worse."""
    above = (one["difference"] or other["difference"])["estimate"]
    if one["difference"]:
        return _shown(above)
    return _shown({"mean": -above["mean"], "low": -above["high"], "high": -above["low"]})


def _shown(estimate: dict[str, float]) -> str:
    return f"{estimate['mean']:.3g} ({estimate['low']:.3g} to {estimate['high']:.3g})"


if __name__ == "__main__":
    main()

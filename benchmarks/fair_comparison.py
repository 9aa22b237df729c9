"""Recipes on digits, compared at one learning rate for all and each at its own best one.     python -m benchmarks.fair_comparison

SGD with momentum beside Adam, and batch norm beside none: four jobs through a whole Stride, then GET /v1/compare.
"""

import argparse
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import run_jobs, temporary_stride
from examples.demo import OBJECTIVE, ask

TRIALS = 36
REPLICATES = 3
WORKERS = 2
EPOCHS = 10
SPACE = {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}, "epochs": EPOCHS}
RECIPES: dict[str, dict[str, Any]] = {
    "sgd, momentum 0.9": {"optimizer": "sgd", "momentum": 0.9},
    "adam": {"optimizer": "adam"},
    "sgd, momentum 0.9, batch norm": {"optimizer": "sgd", "momentum": 0.9, "normalization": "batch"},
    "adam, batch norm": {"optimizer": "adam", "normalization": "batch"},
}
PAIRS = {
    "The optimizer": ("sgd, momentum 0.9", "adam"),
    "Batch norm or none, with SGD": ("sgd, momentum 0.9", "sgd, momentum 0.9, batch norm"),
    "Batch norm or none, with Adam": ("adam", "adam, batch norm"),
}
SHARED_RATES = (0.0003, 0.001, 0.01, 0.1)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the report")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    prove(arguments.out, arguments.seed)


def prove(out: Path | None, seed: int = 0) -> int:
    """Run the jobs, and publish the tables. Nothing is promised, so that no promise can be broken: 0."""
    with temporary_stride(WORKERS) as stride:
        jobs = run_jobs(stride.api, {name: _job(recipe, seed) for name, recipe in RECIPES.items()})
        tables = [_own_rates(stride.api, jobs)]
        for title, names in PAIRS.items():
            tables += _compared(stride.api, title, {name: jobs[name] for name in names})
    publish("fair_comparison", tables, repeats=1, folder=out)
    return 0


def _job(recipe: dict[str, Any], seed: int) -> dict[str, Any]:
    return {
        "objective": OBJECTIVE,
        "search_space": SPACE | recipe,
        "strategy": "bayesian",
        "budget": {"trials": TRIALS},
        "replicates": REPLICATES,
        "seed": seed,
    }


def _own_rates(api: httpx2.Client, jobs: dict[str, str]) -> Table:
    """All four beside each other."""
    found = ask(api, "GET", "/v1/compare", params={"jobs": list(jobs.values())})
    table = Table(
        f"Each at its own best rate: {TRIALS} trials of {EPOCHS} epochs, tpe, {REPLICATES} replicates of the best points;"
        f" intervals of {found['level']:.0%}",
        [
            "recipe",
            "best rate",
            found["metric"],
            "best point",
            "excess over the decade about it",
            "verdict",
            f"epochs to {found['target']:.3g}",
        ],
    )
    for name, judged in zip(jobs, found["jobs"], strict=True):
        point = judged["best_point"]
        fastest = judged["front"][0] if judged["front"] else None
        told = f"{fastest['steps']:.3g} ({fastest['seconds']:.2g} s) at {fastest['learning_rate']:.2g}" if fastest else "-"
        table.add(
            name,
            _shown(judged["learning_rate"]),
            _shown(judged["expected"]),
            f"{point['value']:.3g} at {point['params']['learning_rate']:.3g}, {point['seeds']} seeds",
            _shown(judged["sensitivity"]["excess"]),
            judged["verdict"],
            told,
        )
    return table


def _compared(api: httpx2.Client, title: str, jobs: dict[str, str]) -> list[Table]:
    """A pair of recipes at shared rates, and at their own."""
    first, second = jobs
    table = Table(title, ["at a learning rate of", first, second, "winner"])
    for rate in SHARED_RATES:
        found = ask(api, "GET", "/v1/compare", params={"jobs": list(jobs.values()), "learning_rate": rate})
        shared = found["at_shared_rate"]
        cells = [_shown(each["expected"]) if each["expected"] else each["because"] for each in shared["jobs"]]
        names = {job: name for name, job in jobs.items()}
        table.add(f"{rate:g} for both", *cells, names.get(shared["winner"], "-"))
    best = next(each for each in found["jobs"] if each["verdict"] == "best")
    other = next(each for each in found["jobs"] if each is not best)
    verdict = f"{best['name']}; {other['name']} is {other['verdict']}: {_shown(other['difference']['estimate'])} by"
    table.add(
        "**its own best**", *(_shown(each["expected"]) for each in found["jobs"]), f"{verdict} {_basis(other['difference'])}"
    )
    return [table]


def _basis(difference: dict[str, Any]) -> str:
    seeds = difference["paired_seeds"]
    return f"{seeds['pairs']} paired seeds" if difference["rests_on"] == "paired seeds" else "response curves"


def _shown(estimate: dict[str, float]) -> str:
    return f"{estimate['mean']:.3g} ({estimate['low']:.3g} to {estimate['high']:.3g})"


if __name__ == "__main__":
    main()

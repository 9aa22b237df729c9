"""Three strategies on digits, through a whole Stride; their best trials beside a recorded reference set. Part of `make prove`.

64 trials each for each of five job seeds: every best trial's validation loss is to be among the best 10% of the reference set,
and its test accuracy at least 0.95. Then eight workers on a grid of 60 points: every point exactly once.
"""

import json
import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import temporary_stride
from examples.demo import OBJECTIVE, SPACES, ask, looks

REFERENCE = Path(__file__).parents[1] / "tests" / "data" / "digits_reference.json"
BETTER_THAN = 0.9
TEST_ACCURACY = 0.95
"""What the best trial of each strategy reaches at least."""
SEEDS = range(5)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one strategy found."""

    strategy: str
    learning_rate: float
    validation_loss: float
    test_accuracy: float
    better_than: float
    """The part of the reference set that its best trial beats."""
    trials: int
    seconds: float


def run_strategies(api: httpx2.Client, seed: int, trials: int = 64) -> list[Found]:
    """Tune digits by grid, random and bayesian search with this job seed, and wait for their ends."""
    jobs = {}
    for strategy, space in SPACES.items():
        document = {
            "name": f"{strategy}, seed {seed}",
            "objective": OBJECTIVE,
            "search_space": space,
            "strategy": strategy,
            "budget": {"trials": trials},
            "seed": seed,
        }
        jobs[strategy] = str(ask(api, "POST", "/v1/jobs", json=document)["id"])
    *_, ended = looks(api, jobs)
    return [_found(api, strategy, jobs[strategy], ended[strategy]) for strategy in jobs]


def run_grid_of_sixty(api: httpx2.Client) -> list[dict[str, Any]]:
    """Visit a grid of 15 learning rates and 4 batch sizes, one epoch each; its trials."""
    document = {
        "objective": OBJECTIVE,
        "search_space": {
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "points": 15},
            "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
            "epochs": 1,
        },
        "strategy": "grid",
    }
    job = str(ask(api, "POST", "/v1/jobs", json=document)["id"])
    *_, ended = looks(api, {"grid": job})
    assert ended["grid"]["state"] == "completed", ended
    trials: list[dict[str, Any]] = ask(api, "GET", f"/v1/jobs/{job}/trials?limit=100")["items"]
    return trials


def reference_losses() -> list[float]:
    """The validation losses of 500 random configurations, ascending; infinite where training diverged."""
    trials = json.loads(REFERENCE.read_text(encoding="utf-8"))["trials"]
    return sorted(math.inf if trial["validation_loss"] is None else trial["validation_loss"] for trial in trials)


def _found(api: httpx2.Client, strategy: str, job_id: str, job: dict[str, object]) -> Found:
    assert job["state"] == "completed", job
    answer = ask(api, "GET", f"/v1/jobs/{job_id}/best-lr")
    best = ask(api, "GET", f"/v1/jobs/{job_id}/trials/{answer['best_trial']['number']}")
    losses = reference_losses()
    finished = ask(api, "GET", f"/v1/jobs/{job_id}")
    return Found(
        strategy=strategy,
        learning_rate=best["params"]["learning_rate"],
        validation_loss=best["value"],
        test_accuracy=best["user_attrs"]["test_accuracy"],
        better_than=sum(loss > best["value"] for loss in losses) / len(losses),
        trials=finished["progress"]["trials"]["total"],
        seconds=_seconds(finished["started_at"], finished["finished_at"]),
    )


def _seconds(started_at: str, finished_at: str) -> float:
    return (datetime.fromisoformat(finished_at) - datetime.fromisoformat(started_at)).total_seconds()


def prove(out: Path) -> int:
    """Run both, and publish what was found; returns how many promises were broken."""
    table = Table(
        "Best of 64 trials on digits, beside 500 random configurations",
        ["job seed", "strategy", "learning rate", "validation loss", "better than", "test accuracy", "trials", "seconds", "kept"],
    )
    broken = 0
    with temporary_stride() as stride:
        for seed in SEEDS:
            for found in run_strategies(stride.api, seed):
                kept = found.better_than >= BETTER_THAN and found.test_accuracy >= TEST_ACCURACY
                broken += not kept
                table.add(str(seed), *_cells(found), "yes" if kept else "NO")
    grid = Table("A grid of 60 points, eight worker processes", ["trials", "different points", "workers that had trials", "kept"])
    with temporary_stride(workers=8) as stride:
        trials = run_grid_of_sixty(stride.api)
    points = {tuple(sorted(trial["params"].items())) for trial in trials}
    kept = len(trials) == len(points) == 60
    broken += not kept
    workers = {attempt["worker"] for trial in trials for attempt in trial["attempts"]}
    grid.add(str(len(trials)), str(len(points)), str(len(workers)), "yes" if kept else "NO")
    publish("prove_strategies", [table, grid], 1, out)
    return broken


def _cells(found: Found) -> list[str]:
    return [
        found.strategy,
        f"{found.learning_rate:.4g}",
        f"{found.validation_loss:.4f}",
        f"{found.better_than:.1%}",
        f"{found.test_accuracy:.4f}",
        str(found.trials),
        f"{found.seconds:.0f}",
    ]

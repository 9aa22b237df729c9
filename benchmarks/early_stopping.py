"""What early stopping keeps and saves: on recorded curves, in 500 jobs and arrival orders, and in one real job.

    python -m benchmarks.early_stopping [--out benchmarks/results]

Recorded jobs try 13 learning rates under three schedules. Each trial has one of five training seeds, drawn for it; jobs whose
trials share one seed are shown for comparison. Replayed with the default rungs of successive halving, the winner is to lie within
a factor of 2 of the best of all in 90% of the orders, at 0.6 of the epochs of the same job without a pruner. Naive rungs, at
epochs 1 and 4 under every schedule, are shown for comparison. Then a real job, with a pruner and without, on two workers. Writes
a report; exits 1 when a promise is broken.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.jobs import spec_of
from benchmarks.record_curves import BATCH_SIZE, EPOCHS, LEARNING_RATES, MOMENTUM, NETWORKS, SCHEDULES
from benchmarks.replay import Kept, agreement, measure, recorded_jobs, with_own_seeds
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import run_jobs, temporary_stride
from examples.demo import ask
from service.domain.spec import JobSpec

NEAR_BEST = 0.9
"""The part of the orders that must find a rate near the best."""
EPOCHS_USED = 0.6
"""The part of the epochs that they may take."""
N_ORDERS = 500
N_WORKERS = (1, 4)
RESULTS = Path(__file__).parent / "results"

DEFAULT = "1/4 and 1/2 (default)"
AFTER_WARMUP = "0.3 and 0.6"
NAIVE = "epochs 1 and 4 (naive)"
RUNGS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    AFTER_WARMUP: {"parts": 10, "min_resource": 3},
    NAIVE: {"parts": EPOCHS, "min_resource": 1, "reduction_factor": 4},
}
"""Successive halving, by what differs from a job's defaults. Optuna's own defaults come to the naive rungs."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a real job found, and what it took."""

    learning_rate: float
    validation_loss: float
    epochs: int
    pruned: int
    infeasible: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the report")
    broken = prove(parser.parse_args().out)
    if broken:
        sys.exit(f"{broken} promises were broken.")


def prove(out: Path) -> int:
    """Replay, run the real job, and publish both; how many rows broke a promise."""
    replayed, broken = replayed_table()
    publish("early_stopping", [replayed, real_table()], 1, out)
    return broken


def replayed_table() -> tuple[Table, int]:
    """The recorded curves in 500 orders, and how many rows break a promise."""
    table = Table(
        f"13 learning rates, {EPOCHS} epochs, {N_ORDERS} jobs and arrival orders from the recorded curves of 5 training seeds",
        [
            *("network", "schedule", "seeds agree", "training seed", "rungs", "workers"),
            *("within 2x of best", "loss / best, 9 in 10", "epochs", "kept"),
        ],
    )
    broken = 0
    for network in NETWORKS:
        for schedule in SCHEDULES:
            seeds_agree = agreement(recorded_jobs(network, schedule))
            for rungs, is_shared in [(rungs, False) for rungs in RUNGS] + [(DEFAULT, True)]:
                for n_workers in N_WORKERS:
                    kept = replay_orders(network, schedule, rungs, n_workers, is_shared=is_shared)
                    promised = rungs == DEFAULT and not is_shared
                    broken += promised and not is_kept(kept)
                    verdict = ("yes" if is_kept(kept) else "NO") if promised else ""
                    figures = [f"{kept.near:.1%}", f"{kept.loss:.2f}", f"{kept.epochs:.3f}", verdict]
                    seeds = "shared" if is_shared else "per trial"
                    table.add(network, schedule, f"{seeds_agree:.0%}", seeds, rungs, str(n_workers), *figures)
    return table, broken


def replay_orders(
    network: str, schedule: str, rungs: str, n_workers: int, n_orders: int = N_ORDERS, *, is_shared: bool = False
) -> Kept:
    """One recording, in so many orders. is_shared: whether all trials of a job have one training seed; else each has its own, and
    each order is of another job. Naive rungs know nothing of warm-up."""
    jobs = recorded_jobs(network, schedule)
    if not is_shared:
        jobs = with_own_seeds(jobs, n_orders)
    if rungs == NAIVE:
        jobs = [[curve.without_warmup() for curve in curves] for curves in jobs]
    return measure(jobs, job_spec(rungs), n_workers, range(n_orders))


def job_spec(rungs: str) -> JobSpec:
    """A job with such a pruner; its other fields do not matter to a replay."""
    return spec_of(
        {
            "objective": {"name": "image-classification"},
            "search_space": {},
            "strategy": "random",
            "pruner": {"type": "successive_halving"} | RUNGS[rungs],
            "metric": "validation_loss",
        }
    )


def is_kept(kept: Kept) -> bool:
    """Whether early stopping did what is promised."""
    return kept.near >= NEAR_BEST and kept.epochs <= EPOCHS_USED


def real_table() -> Table:
    """One job, with a pruner and without, through API, PostgreSQL and two workers that train."""
    table = Table(
        f"A real job: the same {len(LEARNING_RATES)} learning rates, cnn, constant schedule, two workers",
        ["pruner", "best learning rate", "its validation loss", "epochs trained", "trials pruned", "diverged"],
    )
    with temporary_stride(workers=2) as stride:
        for pruner in ("none", "successive_halving"):
            found = run_real_job(stride.api, pruner)
            rate, loss = f"{found.learning_rate:.4g}", f"{found.validation_loss:.4f}"
            table.add(pruner, rate, loss, str(found.epochs), str(found.pruned), str(found.infeasible))
    return table


def run_real_job(api: httpx2.Client, pruner: str) -> Found:
    """Try the recorded learning rates as a grid, and wait for the end."""
    low, *_, high = LEARNING_RATES
    document = {
        "objective": {"name": "image-classification", "settings": {"dataset": "digits", "model": "cnn"}},
        "search_space": {
            "learning_rate": {"type": "float", "low": low, "high": high, "log": True, "points": len(LEARNING_RATES)},
            "batch_size": BATCH_SIZE,
            "epochs": EPOCHS,
            "momentum": MOMENTUM,
        },
        "strategy": "grid",
        "pruner": pruner,
    }
    (job,) = run_jobs(api, {f"early stopping: {pruner}": document}).values()
    trials = ask(api, "GET", f"/v1/jobs/{job}/trials?limit=100")["items"]
    measured = [ask(api, "GET", f"/v1/jobs/{job}/trials/{trial['number']}/measurements")["items"] for trial in trials]
    best = ask(api, "GET", f"/v1/jobs/{job}/best-lr")
    return Found(
        learning_rate=best["best_trial"]["params"]["learning_rate"],
        validation_loss=best["best_trial"]["value"],
        epochs=sum(len(steps) for steps in measured),
        pruned=sum(trial["state"] == "pruned" for trial in trials),
        infeasible=sum(trial["state"] == "infeasible" for trial in trials),
    )


if __name__ == "__main__":
    main()

"""The answer on digits, through the API: jobs of 40 random rates beside the truth over training seeds; and safe ranges retrained.

    python -m benchmarks.digits_answers [--jobs 48] [--out benchmarks/results]        about a quarter of an hour on two cores

The mlp with batches of 32, a momentum of 0.9 and 10 epochs; rates from 1e-4 to 1. The truth is the mean validation loss at
rates about the best one over N_SEEDS training seeds that no job has.

Safe ranges: ten jobs of two and ten of four searched parameters, 64 random trials each. The answered point and both ends of its
safe range are trained again with the same 12 fresh seeds. An end holds if its loss is above the point's by no more than the
tolerance plus two standard errors of the paired difference.
"""

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import numpy as np

from benchmarks.recorded import trained
from benchmarks.recorded.recorded_set import RecordedSet
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import temporary_stride
from examples.demo import ask

OBJECTIVE = {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}}
RATE = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}
ALONE = {"learning_rate": RATE, "batch_size": 32, "momentum": 0.9, "epochs": 10}
TWO = {"learning_rate": RATE, "momentum": {"type": "float", "low": 0.0, "high": 0.95}, "batch_size": 32, "epochs": 10}
FOUR = {
    "learning_rate": RATE,
    "momentum": {"type": "float", "low": 0.0, "high": 0.95},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
    "epochs": {"type": "int", "low": 4, "high": 16},
}
TRUE_RATES = [round(10 ** (-2.25 + index / 15), 6) for index in range(19)]
"""0.0056 to 0.089."""
N_SEEDS = 40
FRESH = [2**40 + index for index in range(N_SEEDS)]
"""Training seeds: no job draws one of these but by chance."""
N_JOBS, N_TRIALS = 48, 40
HELD = 40 / 48
WIDEST = 0.6
N_SAFE, SAFE_TRIALS, SAFE_SEEDS = 10, 64, 12
KEPT = 0.9
COVERS = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=N_JOBS)
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    if prove(arguments.out, arguments.jobs):
        sys.exit("A promise was broken: see the tables.")


def prove(out: Path | None, n_jobs: int = N_JOBS) -> int:
    """Publish the tables; the number of promises that were broken."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs = pool.map(_train, [({**ALONE, "learning_rate": rate}, seed) for rate in TRUE_RATES for seed in FRESH])
        losses = np.array(list(runs)).reshape(len(TRUE_RATES), N_SEEDS)
        with temporary_stride() as stride:
            alone = _answers(stride.api, "alone", ALONE, range(n_jobs), N_TRIALS)
            of_two = _answers(stride.api, "two", TWO, range(N_SAFE), SAFE_TRIALS)
            of_four = _answers(stride.api, "four", FOUR, range(N_SAFE), SAFE_TRIALS)
        intervals, broken = _intervals(losses, alone)
        tables = [_truth(losses), intervals]
        for name, answers in (("two", of_two), ("four", of_four)):
            table, missed = _safe_ranges(pool, name, answers)
            tables.append(table)
            broken += missed
    publish("digits_answers", tables, 1, out)
    return broken


def _answers(api: httpx2.Client, name: str, space: Mapping[str, Any], seeds: Sequence[int], trials: int) -> list[dict[str, Any]]:
    jobs = {}
    for seed in seeds:
        document = {
            "name": f"{name}, seed {seed}",
            "objective": OBJECTIVE,
            "search_space": space,
            "strategy": "random",
            "budget": {"trials": trials, "confirm": 0},  # what the curve alone says
            "seed": seed,
        }
        jobs[seed] = str(ask(api, "POST", "/v1/jobs", json=document)["id"])
    while any(ask(api, "GET", f"/v1/jobs/{job}")["state"] in ("queued", "running") for job in jobs.values()):
        time.sleep(2)
    return [ask(api, "GET", f"/v1/jobs/{job}/best-lr") for job in jobs.values()]


def _truth(losses: np.ndarray) -> Table:
    table = Table(f"Mean validation loss over {N_SEEDS} training seeds", ["learning rate", "mean", "standard error"])
    for rate, of_rate in zip(TRUE_RATES, losses, strict=True):
        table.add(f"{rate:.4g}", f"{of_rate.mean():.4f}", f"{of_rate.std(ddof=1) / math.sqrt(N_SEEDS):.4f}")
    return table


def _intervals(losses: np.ndarray, answers: Sequence[Mapping[str, Any]]) -> tuple[Table, int]:
    means = losses.mean(axis=1)
    best, least = TRUE_RATES[int(means.argmin())], float(means.min())
    held = sum(answer["interval"]["low"] <= best <= answer["interval"]["high"] for answer in answers)
    expected = sum(answer["expected"]["low"] <= least <= answer["expected"]["high"] for answer in answers)
    width = median(math.log10(answer["interval"]["high"] / answer["interval"]["low"]) for answer in answers)
    confident = sum(answer["verdict"] == "confident" for answer in answers)
    n = len(answers)
    table = Table(f"{n} jobs of {N_TRIALS} random rates, seeds 0 to {n - 1}", ["what", "measured", "kept"])
    kept = [held >= HELD * n, expected >= HELD * n, width <= WIDEST]
    table.add(f"interval holds {best:.4g}, the best rate over seeds", f"{held} of {n}", _yes(kept[0]))
    table.add(f"`expected` holds {least:.4f}, its mean loss", f"{expected} of {n}", _yes(kept[1]))
    table.add(f"median width of the interval, in decades: at most {WIDEST}", f"{width:.2f}", _yes(kept[2]))
    table.add("confident", f"{confident} of {n}", "-")
    return table, kept.count(False)


def _safe_ranges(pool: ProcessPoolExecutor, name: str, answers: Sequence[Mapping[str, Any]]) -> tuple[Table, int]:
    table = Table(
        f"Safe ranges, {name} parameters searched, {SAFE_TRIALS} random trials, retrained with {SAFE_SEEDS} fresh seeds",
        [
            "job seed",
            "rate",
            "params",
            "safe range",
            "tolerance",
            "low end loses",
            "high end loses",
            "kept",
            "part of the true one",
        ],
    )
    kept, parts = [], []
    for seed, answer in enumerate(answers):
        safe = answer["safe_range"]
        if safe is None:
            table.add(str(seed), f"{answer['learning_rate']:.4g}", "", "none", "", "", "", "-", "")
            continue
        params = {"momentum": 0.9, "batch_size": 32, "epochs": 10} | answer["params"]
        rates = (answer["learning_rate"], safe["low"], safe["high"])
        runs = pool.map(_train, [({**params, "learning_rate": rate}, fresh) for rate in rates for fresh in FRESH[:SAFE_SEEDS]])
        losses = np.array(list(runs)).reshape(3, SAFE_SEEDS)
        ends = losses[1:] - losses[0]
        errors = ends.std(axis=1, ddof=1) / math.sqrt(SAFE_SEEDS)
        kept.append(bool((ends.mean(axis=1) <= safe["tolerance"] + 2 * errors).all()))
        if name == "two":
            parts.append(_part(answer))
        table.add(
            str(seed),
            f"{rates[0]:.4g}",
            " ".join(f"{key}={value:.3g}" for key, value in answer["params"].items()),
            f"{safe['low']:.3g} to {safe['high']:.3g}",
            f"{safe['tolerance']:.3g}",
            *(f"{end:.4f} ({error:.4f})" for end, error in zip(ends.mean(axis=1), errors, strict=True)),
            _yes(kept[-1]),
            f"{parts[-1]:.2f}" if name == "two" else "",
        )
    broken = int(sum(kept) < KEPT * len(answers)) + int(name == "two" and (not parts or median(parts) < COVERS))
    table.add("all", "", "", "", "", "", "", f"{sum(kept)} of {len(answers)}", f"{median(parts):.2f}" if parts else "")
    return table, broken


def _part(answer: Mapping[str, Any]) -> float:
    """Of the rates that are truly safe with the answered momentum, by the recorded table: the part that the safe range covers."""
    recorded: RecordedSet = next(each for each in trained.load("digits") if each.space == "rate x momentum")
    safe, others = answer["safe_range"], recorded.combination(answer["params"])
    at = math.log10(answer["learning_rate"])
    rates = np.linspace(recorded.rates[0], recorded.rates[-1], 2_000)
    costs = np.array([recorded.cost_at(rate, others) for rate in rates])
    is_safe = costs <= recorded.cost_at(at, others) + safe["tolerance"]
    low = high = int(np.abs(rates - at).argmin())
    while low > 0 and is_safe[low - 1]:
        low -= 1
    while high < len(rates) - 1 and is_safe[high + 1]:
        high += 1
    shared = min(rates[high], math.log10(safe["high"])) - max(rates[low], math.log10(safe["low"]))
    return max(0.0, float(shared / max(rates[high] - rates[low], 1e-9)))


def _train(point_and_seed: tuple[Mapping[str, Any], int]) -> float:
    """The last validation loss; a diverged run counts with the loss of guessing ten classes, ten times."""
    from objectives.tasks.image_classification import start

    point, seed = point_and_seed
    *_, last = start(point, OBJECTIVE["settings"], seed, "cpu", 1)  # type: ignore[arg-type]
    loss = last.metrics["validation_loss"]
    return loss if last.divergence is None and math.isfinite(loss) else 10 * math.log(10)


def _yes(kept: bool) -> str:
    return "yes" if kept else "NO"


if __name__ == "__main__":
    main()

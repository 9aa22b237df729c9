"""What random search finds on digits: 500 configurations, trained to their end, as a reference for strategies.

Run:    python benchmarks/reference_set.py
Writes: tests/data/digits_reference.json, and prints the quantiles of the validation loss.

Each configuration is drawn uniformly from the default search space of image-classification (the learning rate uniformly in its
logarithm) and trained with a seed of its own, as the trials of the jobs compared with it are (benchmarks/strategies.py).
"""

import argparse
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from objectives.catalog import default_settings
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.tasks.image_classification import start

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "tests" / "data" / "digits_reference.json"
N_CONFIGURATIONS = 500
DRAW_SEED = 0
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train random configurations of digits and store how each ended.")
    parser.add_argument("--seed", type=int, default=0, help="training seed of the first configuration; the next has the next one")
    parser.add_argument("--processes", type=int, default=cpu_count(), help="trained at once, one thread each")
    arguments = parser.parse_args()

    started = time.monotonic()
    # Not fork: a forked child would inherit torch's thread pool without its threads.
    with get_context("spawn").Pool(arguments.processes) as pool:
        drawn = enumerate(draw_configurations(), start=arguments.seed)
        trials = pool.starmap(train, [(params, seed) for seed, params in drawn], chunksize=1)
    seconds = time.monotonic() - started

    reference = {
        "script": Path(__file__).relative_to(ROOT).as_posix(),
        "torch": torch.__version__.split("+")[0],
        "date": datetime.now(UTC).date().isoformat(),
        "objective": IMAGE_CLASSIFICATION.name,
        "settings": default_settings(IMAGE_CLASSIFICATION),
        "first_seed": arguments.seed,
    }
    OUTPUT.write_text(as_json(reference, trials))
    print_quantiles(trials)
    print(f"{seconds * arguments.processes / len(trials):.2f} s a trial, {arguments.processes} at once")


def draw_configurations() -> list[dict[str, Any]]:
    generator = np.random.default_rng(DRAW_SEED)
    return [
        {p.name: draw(p.space, generator) for p in IMAGE_CLASSIFICATION.parameters if p.space is not None}
        for _ in range(N_CONFIGURATIONS)
    ]


def draw(space: Mapping[str, Any], generator: np.random.Generator) -> Any:
    """One value, uniformly from a space in the form of the REST API."""
    if space["type"] == "categorical":
        return space["choices"][generator.integers(len(space["choices"]))]
    if space["type"] == "int":
        return int(generator.integers(space["low"], space["high"], endpoint=True))
    if space.get("log"):
        return float(np.exp(generator.uniform(np.log(space["low"]), np.log(space["high"]))))
    return float(generator.uniform(space["low"], space["high"]))


def train(params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train through; a diverged configuration has no validation loss."""
    run = start(params, {}, seed, "cpu", threads=1)
    *_, last = run
    diverged = last.divergence is not None
    return {
        "params": params,
        "validation_loss": None if diverged else last.metrics["validation_loss"],
        "diverged": diverged,
        "test_accuracy": run.evaluate()["test_accuracy"],
    }


def as_json(header: Mapping[str, Any], trials: list[dict[str, Any]]) -> str:
    """One line a trial, so that a new version differs by lines."""
    lines = ",\n".join(f"    {json.dumps(trial)}" for trial in trials)
    return json.dumps(header, indent=2)[:-2] + f',\n  "trials": [\n{lines}\n  ]\n}}\n'


def print_quantiles(trials: list[dict[str, Any]]) -> None:
    """Of the validation loss, where diverged configurations count as the worst there are."""
    losses = [np.inf if trial["diverged"] else trial["validation_loss"] for trial in trials]
    print("best part of the configurations   validation loss at most")
    for quantile, loss in zip(QUANTILES, np.quantile(losses, QUANTILES, method="inverted_cdf"), strict=True):
        print(f"{quantile:31.0%}   {loss:23.4f}")
    print(f"diverged: {sum(trial['diverged'] for trial in trials)} of {len(trials)}")


if __name__ == "__main__":
    main()

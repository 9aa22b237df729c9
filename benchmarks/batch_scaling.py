"""How the best learning rate scales with the batch size on digits: what Stride finds, with how many trials, beside a sweep.

    python -m benchmarks.batch_scaling [--out benchmarks/results]

The mlp with SGD and momentum 0.9, batch sizes 16 to 128, through a Stride of its own. First an exhaustive sweep: a grid of 17
rates for each batch size, three training seeds each; its power is that of a straight line through the best rate of each batch
size, as seen in the means over seeds. Then a job that samples rates and batch sizes evenly, asked for its answer several times
before its end.
"""

import argparse
import math
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import temporary_stride
from examples.demo import ask, done, looks

BATCH_SIZES = [16, 32, 64, 128]
RATES = {"type": "float", "low": 1e-3, "high": 1.0, "log": True}
EPOCHS = 10
ASKED_AT = (32, 64, 96, 144)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()
    with temporary_stride() as stride:
        publish("batch_scaling", [sweep(stride.api), fits(stride.api)], 1, arguments.out)


def sweep(api: httpx2.Client) -> Table:
    """Every rate of the grid."""
    grid = {"strategy": "grid", "replicates": 3, "search_space": _space(RATES | {"points": 17})}
    job = _submit(api, "sweep", grid)
    for _ in looks(api, {"sweep": job}):
        pass
    losses: defaultdict[tuple[int, float], list[float]] = defaultdict(list)
    cursor = None
    while True:
        page = ask(api, "GET", f"/v1/jobs/{job}/trials", params={"limit": 100} | ({"cursor": cursor} if cursor else {}))
        for trial in page["items"]:
            if trial["state"] == "complete":
                losses[trial["params"]["batch_size"], trial["params"]["learning_rate"]].append(trial["value"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    table = Table(
        "Exhaustive sweep: 17 rates, three seeds each", ["batch size", "best rate", "mean validation loss", "next best rates"]
    )
    best = {}
    for size in BATCH_SIZES:
        means = sorted(
            (float(np.mean(of_rate)), rate) for (its, rate), of_rate in losses.items() if its == size and len(of_rate) == 3
        )
        best[size] = means[0][1]
        table.add(
            str(size),
            f"{means[0][1]:.3g}",
            f"{means[0][0]:.4f}",
            ", ".join(f"{rate:.3g} ({loss:.4f})" for loss, rate in means[1:3]),
        )
    power = np.polyfit([math.log(size) for size in BATCH_SIZES], [math.log(best[size]) for size in BATCH_SIZES], 1)[0]
    table.add("power", f"{power:.2f}", "", "")
    return table


def fits(api: httpx2.Client) -> Table:
    """What Stride says on the way."""
    sampled = {
        "strategy": {"type": "random", "sampler": "qmc"},
        "search_space": _space(RATES),
        "budget": {"trials": max(ASKED_AT), "confirm": 0},
    }
    job = _submit(api, "sampled", sampled)
    table = Table(
        "Stride, rates and batch sizes sampled evenly",
        [
            "trials",
            "power",
            "90%",
            "linear",
            "square root",
            *(f"rate at {size}" for size in BATCH_SIZES),
            "predicted for 512",
            "seconds",
        ],
    )
    for count in ASKED_AT:
        while done(ask(api, "GET", f"/v1/jobs/{job}")) < count:
            time.sleep(0.2)
        started = time.monotonic()
        found = api.get(f"/v1/jobs/{job}/batch-scaling", params={"batch_size": 512})
        seconds = f"{time.monotonic() - started:.2f}"
        if not found.is_success:
            table.add(str(count), found.json()["detail"], *[""] * (len(table.head) - 3), seconds)
            continue
        scaling = found.json()
        by_size = {each["batch_size"]: f"{each['learning_rate']:.3g}" for each in scaling["by_batch_size"]}
        interval, predicted = scaling["interval"], scaling["prediction"]
        table.add(
            str(count),
            f"{scaling['power']:.2f}",
            f"{interval['low']:.2f} to {interval['high']:.2f}",
            "fits" if scaling["linear"] else "no",
            "fits" if scaling["square_root"] else "no",
            *(by_size.get(size, "") for size in BATCH_SIZES),
            f"{predicted['learning_rate']:.2g} ({predicted['interval']['low']:.2g} to {predicted['interval']['high']:.2g})",
            seconds,
        )
    return table


def _space(rates: dict[str, Any]) -> dict[str, Any]:
    batches = {"type": "categorical", "choices": BATCH_SIZES}
    return {"learning_rate": rates, "batch_size": batches, "momentum": 0.9, "epochs": EPOCHS}


def _submit(api: httpx2.Client, name: str, rest: dict[str, Any]) -> str:
    objective = {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}}
    return str(ask(api, "POST", "/v1/jobs", json={"name": name, "objective": objective, "seed": 1} | rest)["id"])


if __name__ == "__main__":
    main()

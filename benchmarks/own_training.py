"""What Stride adds to training of one's own, beside stock Optuna's `optimize` on the same server.

    python -m benchmarks.own_training [--repeats 3] [--out benchmarks/results]

One worker, one process of the stock script, taking turns. Trials of one report a second; and the time that a report adds to a
trial of many. Only the model is trained, ten weights, by the stock script in a plain loop: a report is an epoch of one update.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2

from benchmarks.dispatch import ratio, spread
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import TemporaryStride, temporary_stride
from benchmarks.whole_service import answer, finished, seconds_of, wait_until_announced
from service.store.postgres import stock_url

TRIALS = 200
"""Of one report."""
REPORTS = 1_000
"""Of one trial."""
FOLDER = Path(__file__).parent / "own"
EMPTY = "optuna_script"


class Way(NamedTuple):
    objective: str
    stock: str
    """The script that does the same with stock Optuna."""
    steps: str = "steps"
    """The parameter."""


WAYS = {
    "Optuna script": Way("optuna_script", EMPTY),
    "training function": Way("function", EMPTY),
    "command": Way("command", "command_stock"),
    "model and data": Way("model", "model_stock", "epochs"),
}
STOCK = {EMPTY: "nothing trained", "command_stock": "a command", "model_stock": "a plain loop"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    trials: dict[str, list[float]] = {}
    reports: dict[str, list[float]] = {}
    with prepared_stride() as stride:
        for _ in range(arguments.repeats):
            for name, way in WAYS.items():
                trials.setdefault(name, []).append(TRIALS / seconds(stride.api, way, TRIALS, 1))
                reports.setdefault(name, []).append(1e3 * seconds(stride.api, way, 1, REPORTS) / REPORTS)
            for name in STOCK:
                trials.setdefault(name, []).append(TRIALS / stock_seconds(stride.database_url, name, TRIALS, 1))
                reports.setdefault(name, []).append(1e3 * stock_seconds(stride.database_url, name, 2, REPORTS) / 2 / REPORTS)
    rates = Table("Trials of one report a second, one process", ["way", "trials a second", "Stride / stock"])
    added = Table(f"Milliseconds that a report adds, in a trial of {REPORTS:,}", ["way", "ms a report", "Stride / stock"])
    for table, measured in ((rates, trials), (added, reports)):
        for name, way in WAYS.items():
            table.add(f"Stride, {name}", spread(measured[name], 2), ratio(measured[name], measured[way.stock]))
        for name, what in STOCK.items():
            table.add(f"stock Optuna, RDBStorage, {what}", spread(measured[name], 2), "1")
    publish("own_training", [rates, added], arguments.repeats, arguments.out)


@contextlib.contextmanager
def prepared_stride() -> Iterator[TemporaryStride]:
    """Stride with one worker that has the scripts."""
    given = {
        "STRIDE_OBJECTIVE_FILES": ",".join(
            str(FOLDER / f"{each.objective}.py") for each in WAYS.values() if each.objective != "command"
        ),
        "STRIDE_OBJECTIVE_COMMAND": f"sh {FOLDER / 'command.sh'} {{learning_rate}} {{steps}}",
        "STRIDE_OBJECTIVE_PARAMS": "steps=1:100000",
        "STRIDE_OBJECTIVE_METRIC": "loss",
        "STRIDE_OBJECTIVE_NAME": "command",
    }
    with temporary_stride(workers=1, **given) as stride:
        wait_until_announced(stride.api, [way.objective for way in WAYS.values()])
        for way in WAYS.values():
            seconds(stride.api, way, 5, 1)  # all is imported and connected
        yield stride


def seconds(api: httpx2.Client, way: Way, trials: int, reports: int) -> float:
    """Of a job of so many trials with so many reports each."""
    document = {
        "objective": {"name": way.objective},
        "search_space": {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}, way.steps: reports},
        "strategy": "random",
        "budget": {"trials": trials, "confirm": 0},
    }
    return seconds_of(finished(api, answer(api.post("/v1/jobs", json=document))))


def stock_seconds(database_url: str, script: str, trials: int, reports: int) -> float:
    """Of a stock script."""
    command = [sys.executable, "-m", f"benchmarks.own.{script}", stock_url(database_url), str(trials), str(reports)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    return float(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()

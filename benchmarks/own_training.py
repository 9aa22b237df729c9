"""What Stride adds to training of one's own, beside stock Optuna's `optimize` on the same server.

    python -m benchmarks.own_training [--repeats 3] [--out benchmarks/results]

One worker, one process of the stock script, taking turns; nothing is trained. Trials of one report a second; and the time that a
report adds to a trial of many.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2

from benchmarks.dispatch import ratio, spread
from benchmarks.tables import Table, publish
from benchmarks.whole_service import answer, finished, seconds_of
from examples.demo import running_stride
from service.store.embedded import running_url
from service.store.postgres import stock_url

TRIALS = 200
"""Of one report."""
REPORTS = 1_000
"""Of one trial."""
FOLDER = Path(__file__).parent / "own"
WAYS = {"Optuna script": "optuna_script", "training function": "function"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for the report; left out: only printed")
    arguments = parser.parse_args()
    trials: dict[str, list[float]] = {}
    reports: dict[str, list[float]] = {}
    with stride() as (api, database_url):
        for _ in range(arguments.repeats):
            for way, name in WAYS.items():
                trials.setdefault(way, []).append(TRIALS / seconds(api, name, TRIALS, 1))
                reports.setdefault(way, []).append(1e3 * seconds(api, name, 1, REPORTS) / REPORTS)
            trials.setdefault("stock", []).append(TRIALS / stock_seconds(database_url, TRIALS, 1))
            reports.setdefault("stock", []).append(1e3 * stock_seconds(database_url, 2, REPORTS) / 2 / REPORTS)
    rates = Table("Trials of one report a second, one process", ["way", "trials a second", "Stride / stock"])
    added = Table(f"Milliseconds that a report adds, in a trial of {REPORTS:,}", ["way", "ms a report", "Stride / stock"])
    for table, measured in ((rates, trials), (added, reports)):
        for way in WAYS:
            table.add(f"Stride, {way}", spread(measured[way], 2), ratio(measured[way], measured["stock"]))
        table.add("stock Optuna, RDBStorage", spread(measured["stock"], 2), "1")
    publish("own_training", [rates, added], arguments.repeats, arguments.out)


@contextlib.contextmanager
def stride() -> Iterator[tuple[httpx2.Client, str]]:
    """Stride with one worker that has the scripts, and the URL of its database."""
    files = ",".join(str(FOLDER / f"{name}.py") for name in WAYS.values())
    with tempfile.TemporaryDirectory(prefix="stride-bench-") as folder:
        with running_stride(folder, workers=1, STRIDE_OBJECTIVE_FILES=files) as url:
            database_url = running_url(Path(folder))
            assert database_url is not None
            with httpx2.Client(base_url=url, timeout=60, trust_env=False) as api:
                for name in WAYS.values():
                    seconds(api, name, 5, 1)  # all is imported and connected
                yield api, database_url


def seconds(api: httpx2.Client, objective: str, trials: int, reports: int) -> float:
    """Of a job of so many trials with so many reports each."""
    document = {
        "objective": {"name": objective},
        "search_space": {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}, "steps": reports},
        "strategy": "random",
        "budget": {"trials": trials, "confirm": 0},
    }
    return seconds_of(finished(api, answer(api.post("/v1/jobs", json=document))))


def stock_seconds(database_url: str, trials: int, reports: int) -> float:
    """Of the stock script."""
    command = [sys.executable, str(FOLDER / "optuna_script.py"), stock_url(database_url), str(trials), str(reports)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})
    return float(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()

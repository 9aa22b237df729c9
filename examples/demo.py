"""Grid, random and bayesian search for a learning rate, one after the other, on a temporary Stride.      make demo

Starts `stride up` on a free port with a temporary data folder, submits three jobs over REST, shows their progress while two
workers (or more, with more cores) train, prints the answer of each strategy and whether they agree, and stops everything it
started. `python -m examples.demo --seed 8`: with another seed of the jobs.
"""

import argparse
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any

import httpx2
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

SEARCH, CONFIRM = 64, 6
"""Trials of each job that search, and that train the best points again."""
TRIALS = SEARCH + CONFIRM
AGREE = 2.0
"""Losses agree if they differ by no more than this many standard deviations of one training."""
WORKERS = max(2, min(8, os.cpu_count() or 2))
PRINT_EVERY_S = 10.0
FINAL = {"completed", "failed", "cancelled"}

OBJECTIVE = {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp"}}
SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
    "epochs": {"type": "int", "low": 2, "high": 20},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
}
# 8 x 2 x 2 x 2 points, over similar ranges
GRID: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True, "points": 8},
    "batch_size": {"type": "categorical", "choices": [32, 128]},
    "epochs": {"type": "int", "low": 10, "high": 20, "points": 2},
    "momentum": {"type": "float", "low": 0.0, "high": 0.9, "points": 2},
}
SPACES: dict[str, dict[str, Any]] = {"grid": GRID, "random": SPACE, "bayesian": SPACE}


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7, help="of the jobs")
    seed = parser.parse_args().seed
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="stride-demo-") as folder, running_stride(folder) as url:
        console.print(f"Stride runs with {WORKERS} workers. Watch the trials at {url}/", soft_wrap=True)
        # trust_env=False: no proxy, since Stride runs on this machine.
        with httpx2.Client(base_url=url, timeout=30, trust_env=False) as api:
            jobs = {strategy: submit(api, strategy, seed, priority=-place) for place, strategy in enumerate(SPACES)}
            if console.is_terminal:
                show_progress_bars(api, jobs, console)
            else:
                print_progress(api, jobs, console)
            found = [read(api, strategy, job) for strategy, job in jobs.items()]
            console.print(results(found))
            console.print(agreement(found))
        console.print(f"The pages at {url} stop now. To keep them: make up", soft_wrap=True)


@contextmanager
def running_stride(folder: str, workers: int = WORKERS, **settings: str) -> Iterator[str]:
    """Run Stride within the block; gives its URL. settings: environment variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIDE_")} | settings
    command = [sys.executable, "-m", "service.cli", "up", "--port", "0", "--data", folder, "--workers", str(workers)]
    command += ["--parent", str(os.getpid())]  # so that it also ends if this process is killed
    with tempfile.TemporaryFile("w+") as errors:
        # In a session of its own, so that Ctrl-C reaches only this process, which then stops Stride with SIGTERM.
        stride = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        try:
            assert stride.stdout is not None
            url = next((match[1] for line in stride.stdout if (match := re.search(r"API +(http\S+)", line))), None)
            if url is None:
                errors.seek(0)
                sys.exit(f"Stride did not start.\n{errors.read()}")
            yield url
        finally:
            stride.send_signal(signal.SIGTERM)
            stride.communicate()


def submit(api: httpx2.Client, strategy: str, seed: int, priority: int) -> str:
    """Submit a job; returns its id. Different priorities make jobs run one after the other, so that their durations compare."""
    document = {
        "name": f"demo, {strategy}",
        "objective": OBJECTIVE,
        "search_space": SPACES[strategy],
        "strategy": strategy,
        "budget": {"trials": TRIALS, "confirm": CONFIRM},
        "priority": priority,
        "seed": seed,
    }
    return str(ask(api, "POST", "/v1/jobs", json=document)["id"])


def show_progress_bars(api: httpx2.Client, jobs: dict[str, str], console: Console) -> None:
    """Show a progress bar for each job, until all jobs are done."""
    columns = (
        TextColumn("{task.description:9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[running]}"),
        TextColumn("{task.fields[best]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars = {strategy: progress.add_task(strategy, total=TRIALS, best="", running="", start=False) for strategy in jobs}
        for seen in looks(api, jobs):
            for strategy, job in seen.items():
                if job["started_at"] and not progress.tasks[bars[strategy]].started:
                    progress.start_task(bars[strategy])
                running = f"{job['progress']['trials']['running']} running"
                progress.update(bars[strategy], completed=done(job), best=best(job), running=running)


def print_progress(api: httpx2.Client, jobs: dict[str, str], console: Console) -> None:
    """Print a line every PRINT_EVERY_S seconds, until all jobs are done."""
    printed_at = -PRINT_EVERY_S
    for seen in looks(api, jobs):
        if time.monotonic() - printed_at >= PRINT_EVERY_S:
            console.print(
                ", ".join(f"{strategy} {done(job)}/{TRIALS} {best(job)}".rstrip() for strategy, job in seen.items()),
                soft_wrap=True,
            )
            printed_at = time.monotonic()


def looks(api: httpx2.Client, jobs: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Poll the jobs until all are done; gives them by strategy each time."""
    while True:
        seen = {strategy: ask(api, "GET", f"/v1/jobs/{job}") for strategy, job in jobs.items()}
        yield seen
        if all(job["state"] in FINAL for job in seen.values()):
            return
        time.sleep(0.5)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a strategy found."""

    strategy: str
    answer: dict[str, Any]
    runs: dict[int, list[float]]
    """The losses of the trials that confirm, by candidate."""
    best_trial: dict[str, Any]
    trials: int
    seconds: float

    @property
    def confirmed(self) -> dict[str, Any] | None:
        """The answered point, as it was trained again; None where all of that diverged."""
        candidates = (self.answer["confirmed"] or {"candidates": []})["candidates"]
        return next((candidate for candidate in candidates if candidate["is_answered"]), None)


def read(api: httpx2.Client, strategy: str, job_id: str) -> Found:
    """The answer of a completed job."""
    job = ask(api, "GET", f"/v1/jobs/{job_id}")
    if job["state"] != "completed":
        sys.exit(f"The {strategy} job is {job['state']}: {job['reason']}")
    answer = ask(api, "GET", f"/v1/jobs/{job_id}/best-lr")
    runs: defaultdict[int, list[float]] = defaultdict(list)
    for trial in ask(api, "GET", f"/v1/jobs/{job_id}/trials?limit=100")["items"]:
        if trial["state"] == "complete" and "candidate" in trial["user_attrs"]:
            runs[trial["user_attrs"]["candidate"]].append(trial["value"])
    lasted = datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])
    return Found(
        strategy=strategy,
        answer=answer,
        runs=dict(runs),
        best_trial=ask(api, "GET", f"/v1/jobs/{job_id}/trials/{answer['best_trial']['number']}"),
        trials=done(job),
        seconds=lasted.total_seconds(),
    )


def results(found: list[Found]) -> Table:
    """A table of the answers of all strategies."""
    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column in ("strategy", "best rate", "90%", "momentum", "retrained", "best trial", "time"):
        table.add_column(column, no_wrap=True)
    table.title = (
        "The best rate with its 90% interval; the validation loss of its point, retrained with fresh"
        " seeds, and that of the best trial"
    )
    for each in found:
        confirmed = each.confirmed
        table.add_row(
            each.strategy,
            f"{each.answer['learning_rate']:.2g}",
            interval(each.answer),
            f"{each.answer['params']['momentum']:.2g}",
            f"{confirmed['value']:.4f}, {confirmed['runs']} runs" if confirmed else "diverged",
            f"{each.best_trial['value']:.4f}",
            f"{each.seconds:.0f} s",
        )
    return table


def agreement(found: list[Found]) -> str:
    """Whether the strategies agree: their losses, trained again, beside how much one training varies."""
    losses = [each.confirmed["value"] for each in found if each.confirmed]
    deviation = training_deviation(found)
    if len(losses) < len(found) or deviation is None:
        return "Too few of the retrained points came to their end to say whether the strategies agree."
    apart = max(losses) - min(losses)
    verdict = "so they agree" if apart <= AGREE * deviation else "so they do not agree: a larger budget would tell"
    return (
        f"Retrained, the answers of the {len(found)} strategies have losses from {min(losses):.3f} to {max(losses):.3f}; one"
        f" training varies by {deviation:.3f} with its seed (standard deviation), {verdict}."
        " Their rates differ as momentum, batch size and epochs do."
    )


def training_deviation(found: list[Found]) -> float | None:
    """The standard deviation of one training over seeds, pooled over all points that were trained again more than once."""
    groups = [values for each in found for values in each.runs.values() if len(values) > 1]
    freedom = sum(len(values) - 1 for values in groups)
    if not freedom:
        return None
    return math.sqrt(sum((value - fmean(values)) ** 2 for values in groups for value in values) / freedom)


def ask(api: httpx2.Client, method: str, path: str, **options: Any) -> Any:
    """The body of the API's response; exits with its text on an error."""
    response = api.request(method, path, **options)
    if not response.is_success:
        sys.exit(f"{method} {path}: {response.text}")
    return response.json()


def interval(answer: dict[str, Any]) -> str:
    """The interval of the best rate at the momentum shown, if there are enough trials."""
    bounds = answer["interval_at_params"]
    return f"{bounds['low']:.1g} to {bounds['high']:.1g}" if bounds else "too few trials"


def done(job: dict[str, Any]) -> int:
    """The number of trials that have ended."""
    trials = job["progress"]["trials"]
    return int(trials["total"] - trials["running"] - trials["waiting"])


def best(job: dict[str, Any]) -> str:
    """The value and learning rate of the best trial so far; empty if there is none."""
    return f"best {job['best']['value']:.4f} at {job['best']['params']['learning_rate']:.2g}" if job["best"] else ""


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

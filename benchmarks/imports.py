"""Answers from runs of others, without a new trial: `stride import` on recorded training, judged by the tables, and timed.

    python -m benchmarks.imports [--reference FOLDER] [--out benchmarks/results]

DeepOBS: each problem and optimizer, a curve and a seed for each run. The interval is right where it holds a rate whose loss,
interpolated between the rates of the table, is within tolerance of the best. opda: random search over seven parameters, one run
a configuration; judged by a model of the table (recorded/opda.py), with the other parameters as answered. Optuna: a study that
stock Optuna has made, with ten values reported in each trial. Each row is one `stride import`, in a process of its own, which
prints the answer.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import optuna

from benchmarks.recorded import deepobs, opda
from benchmarks.recorded.recorded_set import RATE
from benchmarks.recorded.reference import file
from benchmarks.tables import Table, publish
from benchmarks.temporary_stride import TemporaryStride, temporary_stride
from service.domain.answer import Answer
from service.store.postgres import stock_url

STUDY_TRIALS, REPORTED = 500, 10
BEST_RATE = 0.01
"""Of the study."""
STUDY_TOLERANCE = 0.02
"""Twice the noise of a trial of the study."""
MOST_S = 5.0
REPEATS = 3


@dataclass(frozen=True, kw_only=True)
class Imported:
    job: Any
    answer: Answer
    seconds: float
    """Of the whole command."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Import recorded runs, and judge what is answered.")
    parser.add_argument("--reference", help="folder of the reference files")
    parser.add_argument("--out", type=Path, help="folder for the report")
    arguments = parser.parse_args()

    tables, faults = [], []
    with temporary_stride(1) as stride, tempfile.TemporaryDirectory() as folder:
        for make in (
            lambda: of_deepobs(stride, arguments.reference),
            lambda: of_opda(stride, arguments.reference),
            lambda: of_studies(stride, Path(folder)),
        ):
            table, wrong = make()
            tables.append(table)
            faults += wrong
    publish("imports", tables, 1, arguments.out)
    if faults:
        sys.exit("\n".join(faults))


def of_deepobs(stride: TemporaryStride, reference: str | None) -> tuple[Table, list[str]]:
    """Each of its jobs: whether the answered rate is within tolerance of the best, and the interval holds one that is."""
    table = Table(
        "DeepOBS: test loss by the learning rate",
        [
            "problem and optimizer",
            "runs",
            "best by the table",
            "answered",
            "90%",
            "verdict",
            "loses, of tolerance",
            "interval right",
            "s",
        ],
    )
    faults = []
    for recorded in deepobs.load(reference):
        _, problem, optimizer = recorded.name.split()
        found = imported(
            stride,
            *(str(file("deepobs.jsonl", reference)), "--learning-rate", RATE, "--metric", "test_loss", "--seed", "seed"),
            *("--diverged", "diverged", "--where", f"problem={problem}", "--where", f"optimizer={optimizer}"),
            *("--setting", f"problem={problem}", "--name", recorded.name),
            tolerance=recorded.tolerance,
        )
        said = found.answer
        assert said.learning_rate is not None
        loses = recorded.cost_at(math.log10(said.learning_rate), 0) - recorded.best
        holds = said.interval is not None and any(
            recorded.cost_at(rate, 0) - recorded.best <= recorded.tolerance
            for rate in np.linspace(math.log10(said.interval.low), math.log10(said.interval.high), 50)
        )
        table.add(
            f"{problem} {optimizer}",
            counts(found),
            f"{10**recorded.best_rate:.3g}",
            *answered(found),
            f"{loses:.3g} of {recorded.tolerance:.3g}",
            "yes" if holds else "NO",
            f"{found.seconds:.1f}",
        )
        if not holds or loses > recorded.tolerance:
            faults.append(f"{recorded.name} is not right by its table")
    return table, faults


def of_opda(stride: TemporaryStride, reference: str | None) -> tuple[Table, list[str]]:
    """The whole table as one job."""
    path = file("opda_convnext.jsonl", reference)
    with path.open(encoding="utf-8") as lines:
        surrogate = opda.Surrogate([json.loads(line) for line in lines])
    params = ("epochs", "batch_size", "momentum", "weight_decay", "label_smoothing", "lr_peak_epoch")
    found = imported(
        stride,
        *(str(path), "--learning-rate", RATE, "--metric", "top_1", "--direction", "maximize", "--diverged", "nan_train_loss"),
        *(part for name in params for part in ("--param", name)),
    )
    said = found.answer
    assert said.learning_rate is not None
    assert said.interval_at_params is not None
    rates = np.logspace(opda.LOW, opda.HIGH, 161)
    costs, sd, diverges = surrogate.at([{**said.params, RATE: rate} for rate in [*rates, said.learning_rate]])
    costs = np.where(diverges < 0.5, costs, 1.0)
    best, tolerance = float(costs[:-1].min()), float(sd[-1])
    low, high = said.interval_at_params.low, said.interval_at_params.high
    loses = float(costs[-1]) - best
    holds = any(low <= rate <= high for rate, cost in zip(rates, costs, strict=False) if cost - best <= tolerance)
    table = Table(
        "opda, ConvNeXt on ImageNet: top-1 accuracy; with the other parameters as answered, by a model of the table",
        ["runs", "best by the model", "answered", "90%", "verdict", "loses, of the noise of a run", "interval right", "s"],
    )
    table.add(
        counts(found),
        f"{rates[costs[:-1].argmin()]:.3g}",
        *answered(found),
        f"{loses:.3g} of {tolerance:.3g}",
        "yes" if holds else "NO",
        f"{found.seconds:.1f}",
    )
    return table, [] if holds and loses <= tolerance else ["opda is not right by its table"]


def of_studies(stride: TemporaryStride, folder: Path) -> tuple[Table, list[str]]:
    """The same study in SQLite and in Stride's own database."""
    table = Table(
        f"A study of stock Optuna, {STUDY_TRIALS} trials with {REPORTED} reported values each; the best rate is {BEST_RATE:g}",
        ["stored in", "answered", "90%", "verdict", f"s, median of {REPEATS} (range)"],
    )
    faults = []
    for place, url in (("SQLite", f"sqlite:///{folder}/study.db"), ("Stride's database", stock_url(stride.database_url))):
        make_study(url)
        every = [imported(stride, "--storage", url, "--study", "stock", "--name", f"{place} {again}") for again in range(REPEATS)]
        seconds = [each.seconds for each in every]
        said = every[0].answer
        table.add(place, *answered(every[0]), f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})")
        assert said.learning_rate is not None
        if 0.1 * math.log10(said.learning_rate / BEST_RATE) ** 2 > STUDY_TOLERANCE or median(seconds) > MOST_S:
            faults.append(f"the study in {place} is not answered right, or not within {MOST_S:g} s")
    return table, faults


def make_study(url: str) -> None:
    """By stock Optuna alone, as a user's script does it."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    random = np.random.default_rng(0)

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("lr", 1e-5, 1.0, log=True)
        trial.suggest_categorical("batch_size", [16, 32, 64, 128])
        loss = 0.3 + 0.1 * math.log10(rate / BEST_RATE) ** 2 + 0.01 * random.standard_normal()
        for step in range(REPORTED):
            trial.report(loss + 1 / (step + 1), step)
        return math.inf if rate > 0.5 else loss

    study = optuna.create_study(study_name="stock", storage=url, sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=STUDY_TRIALS)


def imported(stride: TemporaryStride, *arguments: str, tolerance: float | None = None) -> Imported:
    """Run `stride import` as a user does."""
    command = [sys.executable, "-m", "service.cli", "import", *arguments, "--url", stride.url]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    assert done.returncode == 0, done.stderr
    job_id = re.search(r"Job (\S+) is completed", done.stdout)
    assert job_id, done.stdout
    job = stride.api.get(f"/v1/jobs/{job_id[1]}").json()
    params = {} if tolerance is None else {"tolerance": tolerance}
    answer = stride.api.get(f"/v1/jobs/{job_id[1]}/best-lr", params=params).json()
    attempts = [
        each["attempts"] for each in stride.api.get(f"/v1/jobs/{job_id[1]}/trials", params={"limit": 100}).json()["items"]
    ]
    assert not any(attempts), "it trained a trial"
    return Imported(job=job, answer=Answer.model_validate(answer), seconds=seconds)


def counts(found: Imported) -> str:
    trials = found.job["progress"]["trials"]
    return f"{trials['total']}, {trials['infeasible']} diverged"


def answered(found: Imported) -> Sequence[str]:
    said = found.answer
    at = said.interval_at_params or said.interval
    interval = "" if at is None else f"{at.low:.3g} to {at.high:.3g}"
    return f"{said.learning_rate:.3g}", interval, str(said.verdict)


if __name__ == "__main__":
    main()

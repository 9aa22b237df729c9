"""The best rate that a job predicts for another batch size, judged by recorded runs with that batch size.

A job sees some of a table's batch sizes. The true best rate at the batch size asked for is the tabulated one with the lowest mean
cost there; rates within the judge's tolerance of it are as good. The tolerance is the standard deviation of one training at that
best point, at least a fiftieth of the 80th percentile of regret with that batch size.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import optuna

from benchmarks.recorded import hpobench, trained
from benchmarks.recorded.judging import covers
from benchmarks.recorded.recorded_set import RATE, RecordedSet, sd_of, truth_of
from benchmarks.recorded.registry import load
from benchmarks.recorded.sampling import Draw
from service.analysis.answer.best_lr import answered
from service.errors import NoBatchScaling, NothingFinished

BATCH_SIZE = "batch_size"
nan = math.nan


@dataclass(frozen=True, kw_only=True)
class Case:
    """Which batch sizes jobs see of a table, and for which they are asked."""

    group: str
    table: str
    tried: tuple[int, int]
    """The smallest and the largest."""
    asked: Mapping[int, str]
    """Batch sizes, and where they lie: "within" what was tried, or so many times "beyond" or "below" it."""


HPOBENCH = {10: "within", 64: "within", 101: "2 beyond", 256: "4 beyond"}
DIGITS = {32: "within", 128: "within", 256: "2 beyond", 512: "4 beyond"}
CASES = (
    *(Case(group="hpobench", table=f"hpobench {task}", tried=(4, 64), asked=HPOBENCH) for task in hpobench.TASKS),
    Case(group="digits", table="digits", tried=(16, 128), asked=DIGITS),
    *(
        Case(group="hpobench, from large", table=f"hpobench {task}", tried=(16, 256), asked={6: "2 below", 4: "4 below"})
        for task in hpobench.TASKS
    ),
    Case(group="digits, from large", table="digits", tried=(64, 512), asked={32: "2 below", 16: "4 below"}),
)


@dataclass(frozen=True, kw_only=True)
class JudgedPrediction:
    """Rates are log10. nan, None: there was no prediction."""

    group: str
    table: str
    strategy: str
    seed: int
    n_trials: int
    batch_size: int
    where: str
    refused: bool = True
    power: float = nan
    rate: float = nan
    low: float = nan
    high: float = nan
    held: bool | None = None
    """Whether the interval, and half a tabulated step further, holds a rate whose cost is within tolerance of the best."""
    held_strictly: bool | None = None
    """Whether it holds the best rate."""
    held_exactly: bool | None = None
    """Whether it holds the best rate without half a step further."""
    off: float = nan
    """How far the predicted rate lies above the best one."""

    @property
    def width(self) -> float:
        return self.high - self.low


def judge(case: Case, strategy: str, seed: int, sizes: Sequence[int], reference: str | None = None) -> list[JudgedPrediction]:
    """What one job predicts, at each number of trials, for each batch size that it is asked for."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        draw = Draw(part_of(case.table, *case.tried, reference), strategy, seed)
        return [judged for n in sizes for judged in _judged(case, draw, strategy, seed, n, reference)]


def _judged(case: Case, draw: Draw, strategy: str, seed: int, n_trials: int, reference: str | None) -> list[JudgedPrediction]:
    try:
        scaling = answered(draw.job, draw.trials(n_trials)).batch_scaling
    except NothingFinished:
        scaling = None
    found = []
    for batch_size, where in case.asked.items():
        plain = JudgedPrediction(
            group=case.group,
            table=case.table,
            strategy=strategy,
            seed=seed,
            n_trials=n_trials,
            batch_size=batch_size,
            where=where,
        )
        try:
            prediction = None if scaling is None else scaling.predict(batch_size, np.random.default_rng(0))
        except NoBatchScaling:
            prediction = None
        if scaling is None or prediction is None:
            found.append(plain)
            continue
        rate, low, high = map(math.log10, (prediction.learning_rate, prediction.interval.low, prediction.interval.high))
        true = part_of(case.table, batch_size, batch_size, reference)
        found.append(
            replace(
                plain,
                refused=False,
                power=scaling.power,
                rate=rate,
                low=low,
                high=high,
                held=covers(true, true.profile, low, high, true.tolerance),
                held_strictly=covers(true, true.profile, low, high, 0.0),
                held_exactly=low <= true.best_rate <= high,
                off=rate - true.best_rate,
            )
        )
    return found


@cache
def table(name: str, reference: str | None = None) -> RecordedSet:
    """Rates and all batch sizes of a task, everything else fixed; rates may differ by batch size. Raises Missing."""
    if name != "digits":
        return load("hpobench", reference)[f"{name}: rate x batch"]
    points, costs = trained.table(name)
    chosen = [index for index, point in enumerate(points) if point["momentum"] == trained.MOMENTUM]
    runs = costs[chosen]
    return RecordedSet(
        name=name,
        space="rate x batch",
        search_space={RATE: {"type": "float", "log": True}, BATCH_SIZE: {"type": "categorical"}},
        points=[{key: points[index][key] for key in (RATE, BATCH_SIZE)} for index in chosen],
        runs=runs,
        truth=truth_of(runs),
        sd=sd_of(runs),
    )


@cache
def part_of(name: str, smallest: int, largest: int, reference: str | None = None) -> RecordedSet:
    """A table's batch sizes from `smallest` to `largest`, at the rates that all of them have. Raises Missing."""
    whole = table(name, reference)
    sizes = sorted({point[BATCH_SIZE] for point in whole.points if smallest <= point[BATCH_SIZE] <= largest})
    common = set.intersection(*({point[RATE] for point in whole.points if point[BATCH_SIZE] == size} for size in sizes))
    chosen = [index for index, point in enumerate(whole.points) if point[BATCH_SIZE] in sizes and point[RATE] in common]
    rates = whole.search_space[RATE]
    if rates["type"] == "float":
        rates = rates | {"low": min(common), "high": max(common)}
    return replace(
        whole,
        space=f"rate x batch {smallest} to {largest}",
        search_space={**whole.search_space, RATE: rates, BATCH_SIZE: {"type": "categorical", "choices": sizes}},
        points=[whole.points[index] for index in chosen],
        runs=whole.runs[chosen],
        truth=whole.truth[chosen],
        sd=whole.sd[chosen],
    )

"""Replays jobs from recorded curves (benchmarks/record_curves.py), in any order, with any pruner.

When a pruner is asked, what it sees and what it decides are computed by the service's own code: `is_pruning_step`, as in the
trainer, `values_by_part`, and `ask_pruner`, as in the worker. Only the database and the training are left out.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, permutations
from pathlib import Path
from random import Random
from statistics import fmean

from optuna.trial import FrozenTrial, TrialState

from service.domain.parts import is_pruning_step
from service.domain.spec import JobSpec
from service.domain.strategy import NoPruner
from service.search.pruning import ask_pruner
from service.search.pruning_view import values_by_part
from service.search.sampling_view import unfinished_trial
from service.search.snapshot import StudySnapshot
from service.store.trials import CurvePoint

CURVES = Path(__file__).parent / "curves"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A recorded trial."""

    learning_rate: float
    diverged: bool
    points: Sequence[CurvePoint]
    """The validation loss after each epoch; they end early in the epoch in which the trial diverged."""

    @property
    def value(self) -> float:
        """As the service knows it: of the last measurement; infinite where training diverged."""
        return math.inf if self.diverged else self.points[-1].value

    def without_warmup(self) -> "Curve":
        """As a pruner sees it that knows nothing of warm-up."""
        return replace(self, points=[replace(point, in_warmup=False) for point in self.points])


def recorded_jobs(network: str, schedule: str) -> list[list[Curve]]:
    """A job for each seed that was recorded: its curves, by learning rate."""
    recording = json.loads((CURVES / f"{network}_{schedule}.json").read_text(encoding="utf-8"))
    jobs: dict[int, list[Curve]] = {}
    for recorded in recording["curves"]:
        ends = zip(recorded["validation_loss"], recording["fraction"], recording["in_warmup"], strict=False)
        points = [
            CurvePoint(step=step, value=math.nan if loss is None else loss, fraction=fraction, in_warmup=in_warmup)
            for step, (loss, fraction, in_warmup) in enumerate(ends, start=1)
        ]
        curve = Curve(learning_rate=recorded["learning_rate"], diverged=recorded["diverged"] is not None, points=points)
        jobs.setdefault(recorded["seed"], []).append(curve)
    return list(jobs.values())


def with_own_seeds(jobs: Sequence[Sequence[Curve]], n: int, seed: int = 0) -> list[list[Curve]]:
    """So many jobs whose trials have training seeds of their own: each rate's curve is that of one of `jobs`, drawn at random."""
    chance = Random(seed)
    return [[chance.choice(of_rate) for of_rate in zip(*jobs, strict=True)] for _ in range(n)]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """How a replayed job ended."""

    best: Curve | None
    """Of those that trained through; None when none did."""
    epochs: int


@dataclass(kw_only=True)
class _Running:
    curve: Curve
    trial: FrozenTrial
    epochs: int = 0


def replay(curves: Sequence[Curve], spec: JobSpec, n_workers: int, chance: Random) -> Replayed:
    """Try the curves in an order drawn by `chance`, `n_workers` at once; it also draws who is done with an epoch next."""
    waiting = iter(chance.sample(curves, len(curves)))
    trials: list[FrozenTrial] = []
    running: list[_Running] = []
    complete: list[Curve] = []
    epochs = 0
    while True:
        for curve in islice(waiting, n_workers - len(running)):
            trials.append(unfinished_trial(len(trials), len(trials), TrialState.RUNNING))
            running.append(_Running(curve=curve, trial=trials[-1]))
        if not running:
            best = min((curve for curve in complete if not curve.diverged), key=lambda curve: curve.value, default=None)
            return Replayed(best=best, epochs=epochs)
        run = chance.choice(running)
        run.epochs += 1
        epochs += 1
        if run.epochs == len(run.curve.points):
            run.trial.state, run.trial.value = TrialState.COMPLETE, run.curve.value
            complete.append(run.curve)
        elif _is_pruned(run, trials, spec):
            run.trial.state = TrialState.PRUNED
        else:
            continue
        running.remove(run)


def _is_pruned(run: _Running, trials: list[FrozenTrial], spec: JobSpec) -> bool:
    if isinstance(spec.pruner, NoPruner):
        return False
    seen = run.curve.points[: run.epochs]
    before = (seen[-2].fraction or 0.0) if len(seen) > 1 and not seen[-2].in_warmup else 0.0
    assert seen[-1].fraction is not None
    if not is_pruning_step(before, seen[-1].fraction, seen[-1].in_warmup, spec.pruner.parts):
        return False
    run.trial.intermediate_values = values_by_part(seen, spec.pruner.parts)
    prune, rungs = ask_pruner(spec, StudySnapshot(trials=trials, attrs={}), run.trial)
    run.trial.system_attrs = run.trial.system_attrs | rungs
    return prune


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a pruner keeps and costs, over many orders."""

    near: float
    """The part of the orders whose best learning rate is within a factor of 2 of the best of all."""
    loss: float
    """The loss of their best trial over that of the best of all: what nine in ten orders stay within."""
    epochs: float
    """Over those of the same job without a pruner. Diverged trials end early in both."""


def measure(jobs: Sequence[Sequence[Curve]], spec: JobSpec, n_workers: int, orders: Iterable[int]) -> Kept:
    """Replay the recorded jobs in turn, each time in another order."""
    near, losses, epochs, epochs_unpruned = [], [], 0, 0
    for order in orders:
        curves = jobs[order % len(jobs)]
        replayed = replay(curves, spec, n_workers, Random(order))
        best = best_of(curves)
        near.append(replayed.best is not None and is_near(replayed.best.learning_rate, best.learning_rate))
        losses.append(math.inf if replayed.best is None else replayed.best.value / best.value)
        epochs += replayed.epochs
        epochs_unpruned += sum(len(curve.points) for curve in curves)
    return Kept(near=fmean(near), loss=sorted(losses)[len(losses) * 9 // 10], epochs=epochs / epochs_unpruned)


def agreement(jobs: Sequence[Sequence[Curve]]) -> float:
    """How often the best learning rate of one seed is near that of another: how well defined what is sought is."""
    return fmean(is_near(best_of(a).learning_rate, best_of(b).learning_rate) for a, b in permutations(jobs, 2))


def best_of(curves: Sequence[Curve]) -> Curve:
    """What a job without a pruner finds."""
    return min(curves, key=lambda curve: curve.value)


def is_near(a: float, b: float) -> bool:
    """Within a factor of 2."""
    return max(a / b, b / a) <= 2 + 1e-9  # rates that were recorded lie exactly so far apart

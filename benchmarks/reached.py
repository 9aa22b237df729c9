"""What each objective reaches with its defaults, on the test sets of all five folds, with one seed; without folds, with five.

Run:    python -m benchmarks.reached          one process a core; about three quarters of an hour on two
"""

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.tables import Table, publish
from objectives.contract import Objective
from objectives.entries.few_shot_classification import FEW_SHOT_CLASSIFICATION
from objectives.entries.few_shot_regression import FEW_SHOT_REGRESSION
from objectives.entries.fine_tuning import FINE_TUNING
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.entries.long_range import LONG_RANGE
from objectives.entries.reinforcement_learning import REINFORCEMENT_LEARNING
from objectives.entries.sequence_to_sequence import SEQUENCE_TO_SEQUENCE
from objectives.entries.tabular_classification import TABULAR_CLASSIFICATION
from objectives.entries.tabular_regression import TABULAR_REGRESSION
from objectives.entries.text_classification import TEXT_CLASSIFICATION

FIVE = range(5)
"""Folds, or seeds of an objective without folds."""
HEAD = ["objective", "settings", "test metric", "mean of five folds, or seeds (range)", "aim", "kept"]


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What an objective is to reach."""

    objective: Objective
    settings: dict[str, Any]
    metric: str
    at_least: float | None = None
    at_most: float | None = None
    """Without either it is measured, and nothing promised."""

    @property
    def text(self) -> str:
        return f"at most {self.at_most}" if self.at_most is not None else str(self.at_least or "")

    def kept_by(self, reached: float) -> bool:
        return (self.at_least is None or reached >= self.at_least) and (self.at_most is None or reached <= self.at_most)


AIMS = (
    Aim(objective=IMAGE_CLASSIFICATION, settings={"model": "mlp"}, metric="test_accuracy", at_least=0.96),
    Aim(objective=IMAGE_CLASSIFICATION, settings={"model": "cnn"}, metric="test_accuracy", at_least=0.975),
    Aim(objective=IMAGE_CLASSIFICATION, settings={"model": "resnet"}, metric="test_accuracy"),
    Aim(objective=TABULAR_CLASSIFICATION, settings={"dataset": "breast-cancer"}, metric="test_accuracy", at_least=0.96),
    Aim(objective=TABULAR_CLASSIFICATION, settings={"dataset": "wine"}, metric="test_accuracy"),
    Aim(objective=TABULAR_REGRESSION, settings={"dataset": "diabetes"}, metric="test_r2", at_least=0.43),
    Aim(objective=SEQUENCE_TO_SEQUENCE, settings={}, metric="test_exact_match", at_least=0.95),
    Aim(objective=LONG_RANGE, settings={"model": "gru"}, metric="test_loss", at_most=0.02),
    Aim(objective=LONG_RANGE, settings={"model": "transformer"}, metric="test_loss", at_most=0.02),
    Aim(objective=FINE_TUNING, settings={"model": "mlp"}, metric="test_accuracy"),
    Aim(objective=FINE_TUNING, settings={"model": "cnn"}, metric="test_accuracy"),
    Aim(objective=FINE_TUNING, settings={"model": "resnet"}, metric="test_accuracy"),
    Aim(objective=REINFORCEMENT_LEARNING, settings={"environment": "CartPole-v1"}, metric="test_mean_return", at_least=475.0),
    *(
        Aim(objective=TEXT_CLASSIFICATION, settings={"model": model}, metric="test_accuracy", at_least=0.80)
        for model in ("bag", "gru", "lstm", "transformer")
    ),
    Aim(objective=FEW_SHOT_REGRESSION, settings={}, metric="test_r2"),
    Aim(objective=FEW_SHOT_CLASSIFICATION, settings={}, metric="test_accuracy"),
)


def prove(out: Path | None) -> int:
    """Train, and publish the table; the number of aims that were missed."""
    table = Table("With their defaults, seed 0 where there are folds", HEAD)
    missed = 0
    for aim, reached in zip(AIMS, _reached(), strict=True):
        kept = aim.kept_by(fmean(reached))
        missed += not kept
        settings = ", ".join(f"{name} {value}" for name, value in aim.settings.items())
        mean = f"{fmean(reached):.4f} ({min(reached):.4f} to {max(reached):.4f})"
        table.add(aim.objective.name, settings, aim.metric, mean, aim.text, "yes" if kept else "NO")
    publish("objectives", [table], 1, out)
    return missed


def _reached() -> list[list[float]]:
    """The test metrics of each aim, by fold or seed; each is told on stderr when it is known."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of processes that are started from now on
    tasks = [(index, number) for index in range(len(AIMS)) for number in FIVE]
    reached: list[list[float]] = [[] for _ in AIMS]
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        for (index, number), metric in zip(tasks, pool.imap(_reached_in, tasks), strict=True):
            reached[index].append(metric)
            aim = AIMS[index]
            print(aim.objective.name, aim.settings, number, aim.metric, metric, file=sys.stderr, flush=True)
    return reached


def _reached_in(task: tuple[int, int]) -> float:
    """The test metric of a run for that aim, with that fold as its test set, or with that seed."""
    index, number = task
    aim = AIMS[index]
    has_folds = "fold" in aim.objective.settings_schema["properties"]
    settings, seed = (aim.settings | {"fold": number}, 0) if has_folds else (aim.settings, number)
    run = import_module(aim.objective.module).start({}, settings, seed, "cpu", 1)
    for _ in run:
        pass
    metric: float = run.evaluate()[aim.metric]
    return metric


if __name__ == "__main__":
    prove(None)

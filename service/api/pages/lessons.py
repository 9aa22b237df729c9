"""The lessons of /learn in their order: title, picture, and the job that shows the same.

The text of a lesson is templates/lessons/<name>.html, its data lessons/<name>.json, which `benchmarks/lessons.py` records.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from service.analysis.figures.figure import Figure
from service.analysis.figures.lessons import intervals, rates, schedules, training
from service.analysis.figures.lessons.traces import Recorded

FOLDER = Path(__file__).parent / "lessons"

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One lesson."""

    name: str
    """As in its address."""
    title: str
    summary: str
    """What one learns, in a sentence."""
    draw: Callable[[Recorded], Figure]
    job: Document
    """Shows the same on the machine of whoever reads it, within a minute on two cores."""
    shown_by: str
    """Where on the job's page one sees it."""

    def recorded(self) -> Recorded:
        """The data of its picture; `made` says how they were recorded."""
        return _recorded(self.name)


@cache
def _recorded(name: str) -> Recorded:
    recorded: Recorded = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return recorded


def _rates(low: float, high: float, points: int) -> Document:
    return {"type": "float", "low": low, "high": high, "log": True, "points": points}


def _choices(*values: Any) -> Document:
    return {"type": "categorical", "choices": list(values)}


def _digits(name: str, space: Document, settings: Document | None = None, **more: Any) -> Document:
    """A grid over the digits, as the recorded runs are trained."""
    return {
        "name": f"lesson: {name}",
        "objective": {"name": "image-classification", "settings": {"dataset": "digits", "model": "mlp", **(settings or {})}},
        "search_space": {"batch_size": 32, "epochs": 10, "momentum": 0.0} | space,
        "strategy": "grid",
    } | more


def _diabetes(name: str, space: Document) -> Document:
    return _digits(name, space) | {"objective": {"name": "tabular-regression", "settings": {"dataset": "diabetes"}}}


LESSONS = (
    Lesson(
        name="gradient-descent",
        title="What a learning rate does",
        summary="It scales the step that is taken against the gradient; the curvature of the loss says how large it may be.",
        draw=rates.gradient_descent,
        job=_diabetes("gradient descent", {"learning_rate": _rates(1e-4, 0.1, 10), "batch_size": 256, "epochs": 100}),
        shown_by="the loss curves: nearly the whole training set is one batch, so each step is gradient descent without noise",
    ),
    Lesson(
        name="learning-rate",
        title="Too small, too large",
        summary="A rate that is too small wastes updates, one that is too large diverges.",
        draw=rates.learning_rate,
        job=_digits("too small, too large", {"learning_rate": _rates(3e-4, 3.0, 9)}),
        shown_by="the loss curves, coloured by learning rate; a run that diverged is along the top of the response curve",
    ),
    Lesson(
        name="response-curve",
        title="The response curve and the divergence edge",
        summary="The loss after training as a function of the rate falls slowly to the best rate, and rises at once beyond it.",
        draw=rates.response_curve,
        job=_digits(
            "response curve",
            {"learning_rate": {"type": "float", "low": 1e-4, "high": 10.0, "log": True}},
            strategy={"type": "random", "sampler": "qmc"},
            budget={"trials": 32},
        ),
        shown_by="the response curve, with diverged trials along the top",
    ),
    Lesson(
        name="range-test",
        title="Range tests",
        summary="One short run with a rising rate shows which rates train at all, but not which one ends best.",
        draw=rates.range_test,
        job=_digits("one epoch at each rate", {"learning_rate": _rates(1e-4, 10.0, 26), "epochs": 1}),
        shown_by="the response curve, which here is that of one epoch, and compare it with the ten epochs of the lesson before",
    ),
    Lesson(
        name="schedules",
        title="Schedules",
        summary="Seven ways to change the learning rate while training, and what each one is for.",
        draw=schedules.schedules,
        job=_digits(
            "schedules",
            {
                "schedule": _choices("constant", "step", "exponential", "cosine", "cyclical", "one-cycle", "plateau"),
                "learning_rate": _rates(0.02, 0.2, 3),
                "batch_size": 4,
                "epochs": 20,
                "step_size": 7,
                "plateau_patience": 3,
                "cycle_momentum": False,
            },
            {"width": 8},
            metric="training_loss",
        ),
        shown_by="the applied learning rates by epoch, and the loss by learning rate and schedule",
    ),
    Lesson(
        name="decay",
        title="Why the rate is lowered at the end",
        summary="Gradients of batches are noisy, and a constant rate never settles; a lower one averages the noise out.",
        draw=schedules.decay,
        job=_digits(
            "constant, step, cosine",
            {
                "schedule": _choices("constant", "step", "cosine"),
                "learning_rate": _rates(0.03, 0.3, 4),
                "batch_size": 4,
                "epochs": 20,
                "step_size": 10,
            },
            {"width": 8},
            metric="training_loss",
        ),
        shown_by="the loss curves, beside the applied learning rates",
    ),
    Lesson(
        name="adaptive-methods",
        title="Adaptive methods and their effective rate",
        summary="AdaGrad, RMSprop and Adam divide each weight's step by the size of its gradients.",
        draw=training.adaptive_methods,
        job=_digits(
            "adaptive methods",
            {"optimizer": _choices("sgd", "adagrad", "adam"), "learning_rate": _rates(1e-4, 1.0, 9), "momentum": 0.0},
        ),
        shown_by="the loss by learning rate and optimizer: the best learning rate of each optimizer is another one",
    ),
    Lesson(
        name="momentum",
        title="Momentum and the effective rate",
        summary="Momentum adds past steps: the same learning rate moves the weights 1 / (1 - momentum) times as far.",
        draw=training.momentum,
        job=_digits("momentum", {"momentum": _choices(0.0, 0.5, 0.9, 0.98), "learning_rate": _rates(1e-3, 1.0, 10)}),
        shown_by="the loss by learning rate and momentum: the higher the momentum, the lower the best learning rates",
    ),
    Lesson(
        name="batch-size",
        title="Batch size",
        summary="Larger batches have less noise and allow larger rates, but there are fewer updates to an epoch.",
        draw=training.batch_size,
        job=_digits("batch size", {"batch_size": _choices(8, 16, 32, 64, 128), "learning_rate": _rates(0.01, 3.0, 8)}),
        shown_by="the best learning rate by batch size, with the power law that is fitted to it",
    ),
    Lesson(
        name="initialization",
        title="Initialization",
        summary="Initial weights must keep the size of the signal through all layers; else no learning rate helps.",
        draw=training.initialization,
        job=_digits(
            "initialization",
            {
                "initialization": _choices("he-normal", "orthogonal", "default"),
                "learning_rate": _rates(0.003, 0.3, 5),
                "epochs": 15,
            },
            {"hidden_layers": 10},
        ),
        shown_by="the loss by learning rate and initialization, and the loss curves",
    ),
    Lesson(
        name="overfitting",
        title="Overfitting",
        summary="A network may go on to fit its training set when it no longer gets better on other data.",
        draw=training.overfitting,
        job=_diabetes("overfitting", {"learning_rate": _rates(1e-4, 0.01, 9), "epochs": 100}),
        shown_by="the generalization gap by learning rate",
    ),
    Lesson(
        name="interval",
        title="What an interval means",
        summary="Another seed gives another answer; a 90% interval says how far they may lie apart.",
        draw=intervals.interval,
        job=_digits(
            "interval",
            {"learning_rate": {"type": "float", "low": 1e-3, "high": 3.0, "log": True}},
            strategy="random",
            budget={"trials": 24, "confirm": 0},
        ),
        shown_by="the answer and its 90% interval: submit it twice, and compare",
    ),
)
"""In the order in which each builds on those before."""

EXPLAINED = {
    "response": "response-curve",
    "losses": "learning-rate",
    "schedules": "schedules",
    "batch-sizes": "batch-size",
    "gaps": "overfitting",
}
"""The lesson that explains a figure of a job's page, by the figure's name."""

"""The jobs that the promise of benchmarks/advice.py is measured on: other tables, other texts, other network shapes and another
seed than those that the rules were made on. They were written down before the rules were final, and run once with them. Of the
narrow networks, three units in three layers were chosen since these disagreed on four of five tables of the earlier sets."""

import pickle
import shutil
import threading
import tokenize
from pathlib import Path

import numpy as np
from sklearn.datasets import make_circles, make_classification, make_regression, make_swiss_roll

from benchmarks.advice_jobs import BAYESIAN, CLASSES, GRID, HALVING, NUMBERS, Case, choices, of_words, rates, write_table

CIRCLES, WIDE, SPIRALS, WRONG, MANUAL = ({"table": name} for name in ("circles", "wide", "spirals", "wrong", "manual"))
ROLL, PLANE, WAVES = ({"table": name} for name in ("roll", "plane", "waves"))

PROOF_SEED = 4_000_037
PROOF = (
    Case("circles, healthy", None, CLASSES, CIRCLES, {"epochs": 30}, 30),
    Case("wide, healthy", None, CLASSES, WIDE, {"epochs": 15}, 30, BAYESIAN),
    Case("roll, healthy", None, NUMBERS, ROLL, {"epochs": 40, "schedule": "cosine", "learning_rate": rates(1e-5, 1.0)}, 30),
    Case("plane, healthy", None, NUMBERS, PLANE, {"epochs": 20, "learning_rate": rates(1e-5, 1.0)}, 30),
    Case("manual, healthy", None, CLASSES, MANUAL, {"epochs": 15, "optimizer": "adam", "learning_rate": rates(1e-5, 0.1)}, 30),
    Case("wide, momentum 0.5, healthy", None, CLASSES, WIDE, {"epochs": 20, "momentum": 0.5}, 30),
    Case("circles, rates too low", "range_too_narrow", CLASSES, CIRCLES, {"learning_rate": rates(1e-6, 1e-3), "epochs": 15}),
    Case("manual, rates too low", "range_too_narrow", CLASSES, MANUAL, {"learning_rate": rates(1e-5, 2e-3), "epochs": 12}),
    Case("wide, rates too high", "range_too_narrow", CLASSES, WIDE, {"learning_rate": rates(1.0, 100)}),
    Case("plane, rates far too high", "range_too_narrow", NUMBERS, PLANE, {"learning_rate": rates(1e3, 1e5)}),
    Case("roll, three epochs", "train_longer", NUMBERS, ROLL, {"epochs": 3}),
    Case("circles, three epochs", "train_longer", CLASSES, CIRCLES, {"epochs": 3}),
    Case("wrong, long", "overfitting", CLASSES, WRONG, {"epochs": 80, "learning_rate": rates(3e-3, 0.5)}),
    Case("manual, long", "overfitting", CLASSES, MANUAL, {"epochs": 60, "learning_rate": rates(1e-2, 1.0)}),
    Case("waves, long", "overfitting", NUMBERS, WAVES, {"epochs": 80, "learning_rate": rates(3e-3, 0.3)}),
    Case("circles, twelve layers", "unstable", CLASSES, {**CIRCLES, "hidden_layers": 12}, {"momentum": 0.97, "epochs": 12}),
    Case("wide, twelve layers", "unstable", CLASSES, {**WIDE, "hidden_layers": 12}, {"momentum": 0.97, "epochs": 12}),
    Case("wide, clipped", "clipping_too_often", CLASSES, WIDE, {"clip_norm": 0.01, "epochs": 10}),
    Case("plane, clipped", "clipping_too_often", NUMBERS, PLANE, {"clip_norm": 0.02, "learning_rate": rates(1e-4, 0.1)}),
    Case(
        "circles, twelve sigmoid layers", "nothing_learns", CLASSES, {**CIRCLES, "hidden_layers": 12}, {"activation": "sigmoid"}
    ),
    Case("manual, tiny rates", "nothing_learns", CLASSES, MANUAL, {"learning_rate": rates(1e-10, 1e-6)}),
    Case("plane, even lower rates", "nothing_learns", NUMBERS, PLANE, {"learning_rate": rates(1e-12, 1e-9)}),
    Case("wide, three rates", "too_few_rates", CLASSES, WIDE, {"learning_rate": rates(1e-6, 1.0, points=3)}, 3, GRID),
    Case("roll, two rates", "too_few_rates", NUMBERS, ROLL, {"learning_rate": choices(1e-6, 0.3)}, 8),
    Case("manual, large batches", "batch_too_large", CLASSES, MANUAL, {"batch_size": 512, "epochs": 6}),
    Case("roll, large batches", "batch_too_large", NUMBERS, ROLL, {"batch_size": choices(256, 512), "epochs": 4}, 30),
    Case(
        "spirals, narrow",
        "seeds_disagree",
        CLASSES,
        {**SPIRALS, "width": 3, "hidden_layers": 3},
        {"epochs": 25, "learning_rate": rates(1e-2, 0.5)},
    ),
    Case(
        "roll, narrow",
        "seeds_disagree",
        NUMBERS,
        {**ROLL, "width": 3, "hidden_layers": 3},
        {"epochs": 25, "learning_rate": rates(1e-3, 0.1)},
    ),
    Case("circles, pruned", "pruned_too_early", CLASSES, CIRCLES, {"epochs": 16, "momentum": 0.0}, 30, HALVING),
    Case("plane, pruned", "pruned_too_early", NUMBERS, PLANE, {"epochs": 20, "schedule": "cosine"}, 30, HALVING),
)


def write_tables(folder: Path) -> None:
    """Write the tables to `folder`, as CSV."""
    random = np.random.default_rng(36)
    wide = make_classification(1_200, 40, n_informative=15, n_classes=5, class_sep=1.5, random_state=32)
    wrong = make_classification(450, 25, n_informative=8, flip_y=0.35, random_state=33)
    inside = random.uniform(-2, 2, (300, 10))
    waves = np.sin(2 * inside).sum(axis=1) + random.normal(0, 1.5, 300)
    write_table(folder / "circles.csv", *make_circles(1_200, noise=0.15, factor=0.5, random_state=31))
    write_table(folder / "wide.csv", *wide)
    write_table(folder / "wrong.csv", *wrong)
    write_table(folder / "plane.csv", *make_regression(800, 15, n_informative=8, noise=20.0, random_state=34))
    write_table(folder / "roll.csv", *make_swiss_roll(1_200, noise=0.5, random_state=35))
    write_table(folder / "waves.csv", inside, waves)
    write_table(folder / "spirals.csv", *_spirals(random, 3, 300))
    write_table(folder / "manual.csv", *of_words((tokenize, shutil, pickle, threading), 130))


def _spirals(random: np.random.Generator, arms: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n points on each arm."""
    along = np.sqrt(random.uniform(0.05, 1.0, arms * n))
    arm = np.repeat(np.arange(arms), n)
    angle = 2 * np.pi * (along + arm / arms) + random.normal(0, 0.15, arms * n)
    return np.column_stack((along * np.cos(angle), along * np.sin(angle))), arm

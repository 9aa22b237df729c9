"""Jobs that are trained for real, with confirmation; a judge trains the answered point and the best trial's with fresh seeds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.jobs import completed_job
from benchmarks.record_tables import RECIPES, train
from service.analysis.answer.best_lr import answer
from service.analysis.model.retrained import CONFIRM
from service.analysis.model.retraining import candidates
from service.domain.budget import confirming_trials
from service.domain.space import CategoricalRange, Point, SearchSpace, searched
from service.domain.training_seeds import TRAINING_SEED
from service.domain.trial import CANDIDATE, PHASE_NAME, Trial, TrialState

N_TRIALS, N_SEEDS = 32, 12
FRESH = 2**40
"""From here on are the judge's training seeds. A job's own are made of its seed and a trial's number, and are smaller."""
RATE = {"type": "float", "low": 1e-5, "high": 10.0, "log": True}
DATA_SETS: Mapping[str, Mapping[str, Any]] = {
    "digits": {
        "learning_rate": RATE | {"low": 1e-4, "high": 1.0},
        "momentum": {"type": "float", "low": 0.0, "high": 0.95},
        "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
    },
    "wine": {"learning_rate": RATE},
    "diabetes": {"learning_rate": RATE},
}
"""What a job searches."""


@dataclass(frozen=True, kw_only=True)
class TrainedJob:
    """Means over the judge's seeds, and whether `expected` holds that of the answered point up to two standard errors."""

    name: str
    seed: int
    answered: float
    best_trial: float
    covered: bool | None


def judge(task: tuple[str, int]) -> TrainedJob:
    """The job of a data set with a seed."""
    name, seed = task
    job = completed_job({"objective": {"name": name}, "search_space": dict(DATA_SETS[name]), "metric": "cost", "seed": seed})
    random, n_fresh = np.random.default_rng(seed), confirming_trials(N_TRIALS)
    trials = [_trial(name, seed, number, _point(job.search_space, random)) for number in range(N_TRIALS - n_fresh)]
    best = min(trials, key=lambda trial: math.inf if trial.value is None else trial.value)
    points = candidates(job, trials, {}, trials_left=n_fresh)
    for turn in range(n_fresh):
        at = turn % len(points)
        trials.append(_trial(name, seed, len(trials), points[at], {PHASE_NAME: CONFIRM, CANDIDATE: at}))
    said = answer(job, trials)
    assert said.learning_rate is not None
    worst = max(trial.value for trial in trials if trial.value is not None and math.isfinite(trial.value))
    answered, of_best = (
        np.array([min(_train(name, point, FRESH + index), worst) for index in range(N_SEEDS)])
        for point in (said.params | {"learning_rate": said.learning_rate}, best.params)
    )
    error = 2 * float(answered.std(ddof=1)) / math.sqrt(N_SEEDS)
    mean, expected = float(answered.mean()), said.expected
    return TrainedJob(
        name=name,
        seed=seed,
        answered=mean,
        best_trial=float(of_best.mean()),
        covered=None if expected is None else expected.low - error <= mean <= expected.high + error,
    )


def _point(space: SearchSpace, random: np.random.Generator) -> Point:
    """A point at random."""
    point: Point = {}
    for name, dimension in searched(space).items():
        if isinstance(dimension, CategoricalRange):
            point[name] = dimension.choices[int(random.integers(len(dimension.choices)))]
        elif dimension.log:
            point[name] = float(10 ** random.uniform(math.log10(dimension.low), math.log10(dimension.high)))
        else:
            point[name] = float(random.uniform(dimension.low, dimension.high))
    return point


def _trial(name: str, seed: int, number: int, point: Point, attributes: Mapping[str, Any] | None = None) -> Trial:
    training_seed = 1_000 * seed + number
    cost = _train(name, point, training_seed)
    diverged = not math.isfinite(cost)
    return Trial(
        number=number,
        state=TrialState.INFEASIBLE if diverged else TrialState.COMPLETE,
        value=cost,
        params=point,
        user_attrs={TRAINING_SEED: training_seed} | dict(attributes or {}),
        diverged_at_step=None,
        error=None,
        started_at=None,
        finished_at=None,
    )


def _train(name: str, point: Point, training_seed: int) -> float:
    return train(RECIPES[name], point, training_seed)

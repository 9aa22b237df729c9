"""Jobs drawn from recorded runs: the points that a strategy tries, with the cost of one of the recorded seeds."""

import math
import warnings
import zlib
from typing import Any

import numpy as np
import optuna

from benchmarks.jobs import completed_job
from benchmarks.recorded.recorded_set import RATE, Params, RecordedSet
from service.domain.job import Job
from service.domain.trial import Trial, TrialState

STRATEGIES = ("random", "qmc", "tpe")


class Draw:
    """One job: its trials, as many as one asks for. Fewer are the beginning of more."""

    def __init__(self, recorded: RecordedSet, strategy: str, seed: int) -> None:
        self._recorded, self._strategy = recorded, strategy
        self._random = np.random.default_rng([seed, zlib.crc32(recorded.key.encode())])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental
            self._study = optuna.create_study(sampler=_sampler(strategy, seed))
        self._values = {name: sorted({point[name] for point in recorded.points}) for name in recorded.points[0]}
        self._numbers = {tuple(point[name] for name in self._values): at for at, point in enumerate(recorded.points)}
        self._trials: list[Trial] = []
        self.job = as_job(recorded, seed)

    def trials(self, n: int) -> list[Trial]:
        """The first n."""
        while len(self._trials) < n:
            self._trials.append(self._next())
        return self._trials[:n]

    def point_of(self, trial: Trial) -> int:
        """The number of its point in the set."""
        return self.number_of(trial.params)

    def number_of(self, params: Params) -> int:
        """The number of a point in the set."""
        return self._numbers[tuple(params[name] for name in self._values)]

    def seed_of(self, column: int) -> int:
        """The training seed of the runs in a column."""
        return zlib.crc32(f"{self._recorded.name}/{column}".encode())

    def _next(self) -> Trial:
        trial = self._study.ask()
        params = {name: self._suggest(trial, name) for name in sorted(self._values)}
        costs = self._recorded.runs[self.number_of(params)]
        column = int(self._random.choice(np.flatnonzero(~np.isnan(costs))))
        diverged = not math.isfinite(costs[column])
        self._study._storage.set_trial_system_attr(trial._trial_id, "constraints", [1.0 if diverged else -1.0])
        self._study.tell(trial, float(costs[column]))
        return Trial(
            number=len(self._trials),
            state=TrialState.INFEASIBLE if diverged else TrialState.COMPLETE,
            value=float(costs[column]),
            params=params,
            user_attrs={"training_seed": self.seed_of(column)},
            diverged_at_step=None,
            error=None,
            started_at=None,
            finished_at=None,
        )

    def _suggest(self, trial: optuna.Trial, name: str) -> Any:
        """A tabulated value: a choice where the job has choices, else the nearest to a number of a range.

        Optuna is told which one it got, so that it learns from what was trained. Its QMC knows no choices, so they are steps.
        """
        values = self._values[name]
        if self._recorded.search_space[name]["type"] == "categorical" and self._strategy != "qmc":
            return trial.suggest_categorical(name, values)
        return values[trial.suggest_int(name, 0, len(values) - 1)]


def _sampler(strategy: str, seed: int) -> optuna.samplers.BaseSampler:
    match strategy:
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
        case "qmc":
            return optuna.samplers.QMCSampler(
                scramble=True, seed=seed, independent_sampler=optuna.samplers.RandomSampler(seed=seed)
            )
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed)
    raise ValueError(f"no strategy is called {strategy}")


def as_job(recorded: RecordedSet, seed: int) -> Job:
    """The job whose trials the draw stands for."""
    assert RATE in recorded.search_space
    return completed_job(
        {
            "objective": {"name": recorded.name},
            "search_space": dict(recorded.search_space),
            "metric": "cost",
            "seed": seed,
        }
    )

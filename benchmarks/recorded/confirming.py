"""The confirming phase of a recorded job: the candidates retrained, by fresh runs.

Where the truth of a set is that of more runs than it has (HPOBench: the mean and the standard deviation of 30), the fresh runs of
a point are its recorded ones that the search did not draw, in random order, then normal draws with that mean and deviation. Where
the truth is the mean of the recorded runs themselves (Stride's own tables), a fresh run is any one of them at random: drawn
without replacement, few runs would come closer to the truth than fresh ones do, since together they are the truth.

The rates of a set are those that it has: a candidate's rate is moved to the nearest one before it is retrained.
"""

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna

from benchmarks.recorded.judging import of_point
from benchmarks.recorded.recorded_set import RATE, RecordedSet, truth_of
from benchmarks.recorded.sampling import Draw
from service.analysis.answer.best_lr import answer
from service.analysis.model.retrained import CONFIRM
from service.analysis.model.retraining import candidates
from service.domain.answer import AnswerVerdict
from service.domain.budget import confirming_trials
from service.domain.space import Point
from service.domain.training_seeds import TRAINING_SEED
from service.domain.trial import CANDIDATE, PHASE_NAME, Trial, TrialState


def with_confirmation(recorded: RecordedSet, draw: Draw, n_trials: int, seed: int) -> list[Trial]:
    """The trials of a job that confirms: its search, then its candidates in turn."""
    n_fresh = confirming_trials(n_trials)
    search = draw.trials(n_trials - n_fresh)
    points = _tabulated(recorded, candidates(draw.job, search, {}, trials_left=n_fresh))
    return retrain(recorded, draw, search, points, n_fresh, seed)


def retrain(
    recorded: RecordedSet, draw: Draw, search: Sequence[Trial], points: Sequence[Point], n_fresh: int, seed: int
) -> list[Trial]:
    """The search's trials, and so many fresh runs of the points in turn; none where there are no points."""
    fresh = _Fresh(recorded, draw, search, np.random.default_rng([seed, len(search), zlib.crc32(recorded.key.encode())]))
    runs = [
        fresh.run(points[turn % len(points)], turn % len(points), len(search) + turn) for turn in range(n_fresh if points else 0)
    ]
    return [*search, *runs]


class _Fresh:
    """Fresh runs of a set's points."""

    def __init__(self, recorded: RecordedSet, draw: Draw, search: Sequence[Trial], random: np.random.Generator) -> None:
        self._recorded, self._draw, self._random = recorded, draw, random
        self._is_all = bool(np.array_equal(recorded.truth, truth_of(recorded.runs)))
        drawn = {(draw.point_of(trial), trial.user_attrs[TRAINING_SEED]) for trial in search}
        self._left = {
            point: [column for column in self._columns(point) if (point, draw.seed_of(column)) not in drawn]
            for point in range(len(recorded.points))
        }
        self._count = Counter[int]()

    def run(self, params: Point, candidate: int, number: int) -> Trial:
        cost = self._cost(self._draw.number_of(params))
        diverged = not math.isfinite(cost)
        return Trial(
            number=number,
            state=TrialState.INFEASIBLE if diverged else TrialState.COMPLETE,
            value=cost,
            params=dict(params),
            user_attrs={PHASE_NAME: CONFIRM, CANDIDATE: candidate, TRAINING_SEED: 2**40 + number},
            diverged_at_step=None,
            error=None,
            started_at=None,
            finished_at=None,
        )

    def _cost(self, point: int) -> float:
        recorded = self._recorded
        if self._is_all:
            return float(self._random.choice(recorded.runs[point, self._columns(point)]))
        if left := self._left[point]:
            return float(recorded.runs[point, left.pop(int(self._random.integers(len(left))))])
        return float(self._random.normal(recorded.truth[point], recorded.sd[point]))

    def _columns(self, point: int) -> list[int]:
        return [int(column) for column in np.flatnonzero(~np.isnan(self._recorded.runs[point]))]


def _tabulated(recorded: RecordedSet, points: Sequence[Point]) -> list[Point]:
    """The points with the set's own rates, each once."""
    rates = sorted({float(point[RATE]) for point in recorded.points})
    moved = [point | {RATE: min(rates, key=lambda rate: abs(math.log(rate / float(point[RATE]))))} for point in points]
    return [point for at, point in enumerate(moved) if point not in moved[:at]]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """An answer that was confirmed, beside that of the same budget without. Costs and regrets are the metric's own."""

    recorded: str
    space: str
    strategy: str
    seed: int
    n_trials: int
    scale: float
    """What to divide regrets by."""
    n_candidates: int
    runs: int
    """Fresh runs at the answered point."""
    regret: float
    regret_best_trial: float
    """Of the search, which has fewer trials than the budget."""
    regret_best_of_all: float
    """Of the budget without confirmation."""
    regret_without: float
    """Of the answer without confirmation."""
    covered: bool | None
    """Whether `expected` holds the true cost of the answered point; None where there is none."""
    covered_without: bool | None
    confident: bool
    right: bool
    """Whether the answered point loses no more than the tolerance."""


def judge(recorded: RecordedSet, strategy: str, seed: int, n_trials: int) -> Confirmed | None:
    """The answers about a job with and without confirmation; None where nothing trained."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    draw = Draw(recorded, strategy, seed)
    every, search = draw.trials(n_trials), draw.trials(n_trials - confirming_trials(n_trials))
    trained, of_search = ([trial for trial in some if trial.state is TrialState.COMPLETE] for some in (every, search))
    if not of_search:
        return None
    said = answer(draw.job, with_confirmation(recorded, draw, n_trials, seed), tolerance=recorded.tolerance)
    without = answer(draw.job, every, tolerance=recorded.tolerance)
    assert said.confirmed is not None
    found, beside = of_point(recorded, draw, of_search, said), of_point(recorded, draw, trained, without)
    return Confirmed(
        recorded=recorded.name,
        space=recorded.space,
        strategy=strategy,
        seed=seed,
        n_trials=n_trials,
        scale=recorded.scale,
        n_candidates=len(said.confirmed.candidates),
        runs=sum(each.runs for each in said.confirmed.candidates if each.is_answered),
        regret=found["regret"],
        regret_best_trial=found["regret_best_trial"],
        regret_best_of_all=beside["regret_best_trial"],
        regret_without=beside["regret"],
        covered=found.get("covered_expected"),
        covered_without=beside.get("covered_expected"),
        confident=said.verdict == AnswerVerdict.CONFIDENT,
        right=found["right"],
    )

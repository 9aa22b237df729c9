"""Finished trials as numbers: what a response curve is fitted to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.analysis.model.encoding import Array, Axis, axes, encode, has_rate, learning_rate
from service.analysis.model.exploded import explosions_begin, find_exploded, find_lost, guessing_level
from service.analysis.model.points import LARGEST, cost_of, guessing_of, seed_of, tried_points
from service.analysis.model.pruned_trials import Curves, Row, predicted
from service.analysis.words import verdict as words
from service.domain.job import Job
from service.domain.meaning import Meaning, Role
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange, Point, discrete_values
from service.domain.steps import steps
from service.domain.trial import Trial, TrialState

MOST_CHOICES = 1_000
"""A range with more steps than this counts as continuous."""
ROUNDING = 1e-12
"""Costs that differ by less than this part of them may differ by rounding only."""
SATURATING = 3
"""Different rates with exactly the best cost from which on the metric is saturated."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What a job's trials showed: n with a cost, and m that were lost. Rates are log10.

    Trials of the same point with the same seed are one run, and count once. Lost are trials that diverged, and complete ones that
    exploded or hardly learned beyond a rate that diverged (`find_lost`); the latter are not among the n.
    """

    low: float
    """The lowest rate of the range searched."""
    high: float
    """The highest one."""
    choices: Array | None
    """The rates that can be tried, ascending, where they are choices or steps; None: any from low to high."""
    axes: list[Axis]
    rates: Array
    """(n,)."""
    others: Array
    """The coordinates of the other parameters, (n, columns)."""
    costs: Array
    """(n,), the metric's last value, negated where higher is better: lower costs are better."""
    variances: Array
    """(n,), of the error of a predicted cost, beside the noise of training: zero except for pruned trials."""
    complete: npt.NDArray[np.bool_]
    """(n,), false for pruned trials."""
    trained_points: Sequence[Point]
    """The parameters of the complete trials, which come first among the n."""
    lost_rates: Array
    """(m,)."""
    lost_others: Array
    """(m, columns)."""
    lost_points: list[Mapping[str, object]]
    """Their parameters."""
    lost_numbers: frozenset[int]
    """Their trials."""
    lost_by_themselves: npt.NDArray[np.bool_]
    """(m,), false for those that are lost only because another trial was lost at a lower rate."""
    is_maximized: bool
    """Whether costs are the metric negated."""
    n_complete_lost: int
    """Complete trials among the lost ones."""
    n_repeats: int
    """Complete trials that repeat a run."""
    explosions_begin: float
    """The rate below which no trial is expected to be lost, by the growth of explosions beyond it; minus infinity: not known."""
    repeated: list[Array]
    """For each point that was tried with several training seeds, its costs."""

    @property
    def trained_rates(self) -> Array:
        """Rates of the complete trials."""
        rates: Array = self.rates[self.complete]
        return rates

    @property
    def spread(self) -> float:
        """The 80th percentile of the regret of the complete trials; where that is zero, the largest regret."""
        costs = self.costs[self.complete]
        return float(np.quantile(costs, 0.8) - costs.min()) or float(np.ptp(costs))

    @property
    def is_constant(self) -> bool:
        """Whether every trial is complete and has the same cost up to rounding."""
        rounding = ROUNDING * float(np.abs(self.costs).min())
        return not len(self.lost_rates) and bool(self.complete.all()) and float(np.ptp(self.costs)) <= rounding

    @property
    def is_saturated(self) -> bool:
        """Whether several rates reach exactly the best cost: nothing better is possible, as when every episode is won."""
        costs = self.costs[self.complete]
        return len(np.unique(self.trained_rates[costs == costs.min()])) >= SATURATING

    @property
    def bound(self) -> float | None:
        """A lower bound on costs: the best one where the metric is saturated; 0 where none of the job's is negative; -1
        where the metric is maximized and lies between 0 and 1, as an accuracy does; else None."""
        costs = self.costs[self.complete]
        if self.is_saturated:
            return float(costs.min())
        if costs.min() >= 0:
            return 0.0
        return -1.0 if self.is_maximized and costs.min() >= -1 and costs.max() <= 0 else None

    @property
    def most(self) -> float:
        """An upper bound on expected costs: as far above the worst as that is above the best; at most 0 where the metric is
        maximized and never negative."""
        most = float(self.costs.max() + np.ptp(self.costs))
        return min(most, 0.0) if self.is_maximized and self.costs.max() <= 0 else most

    @property
    def n_rates(self) -> int:
        """How many different rates the complete trials have."""
        return len(np.unique(np.round(self.trained_rates, 6)))

    def left_out(self, n_complete: int) -> str:
        """Which of n_complete complete trials are not among the n, in words to follow these; empty where all are."""
        n_lacking = n_complete - int(self.complete.sum()) - self.n_complete_lost - self.n_repeats
        return words.left_out(self.n_repeats, self.n_complete_lost, n_lacking, largest=LARGEST)


def observe(job: Job, trials: Sequence[Trial], curves: Curves) -> Observations | None:
    """The numbers in a job's finished trials; None where no trial has a positive learning rate and a finite cost."""
    meaning = job.spec.meaning
    among = axes(job.search_space, meaning)
    dimension = meaning.value(Role.LEARNING_RATE, job.search_space)
    sign = job.spec.cost_sign
    every = _usable([trial for trial in trials if job.agrees(trial.params)], among, meaning)
    usable = _once(every)
    complete = _complete(job, usable)
    if not complete:
        return None
    diverged = [each for each in usable if each[0].state is TrialState.INFEASIBLE]
    guessing = guessing_of(job, trials)
    exploded, is_lost = _lost(complete, diverged, among, guessing)
    begin = -math.inf if among else _explosions_begin(complete, is_lost, guessing)
    lost = diverged + [row[:3] for row, row_is_lost in zip(complete, is_lost, strict=True) if row_is_lost]
    n_repeats = len(_complete(job, every)) - len(complete)
    complete = [row for row, row_is_lost in zip(complete, is_lost, strict=True) if not row_is_lost]
    pruned = predicted([each for each in usable if each[0].state is TrialState.PRUNED], complete, curves, sign)
    rows = complete + pruned
    low, high = _ends(dimension, [rate for _, rate, *_ in rows])
    columns = sum(axis.width for axis in among)
    return Observations(
        low=low,
        high=high,
        choices=_choices(dimension),
        axes=among,
        rates=np.array([row[1] for row in rows]),
        others=np.array([row[2] for row in rows]).reshape(len(rows), columns),
        costs=np.array([row[3] for row in rows]),
        variances=np.array([row[4] for row in rows]),
        complete=np.arange(len(rows)) < len(complete),
        trained_points=[trial.params for trial, *_ in complete],
        lost_rates=np.array([rate for _, rate, _ in lost]),
        lost_others=np.array([others for *_, others in lost]).reshape(len(lost), columns),
        lost_points=[trial.params for trial, *_ in lost],
        lost_numbers=frozenset(trial.number for trial, *_ in lost),
        lost_by_themselves=np.concatenate([np.ones(len(diverged), dtype=bool), exploded[is_lost]]),
        is_maximized=sign < 0,
        n_complete_lost=int(is_lost.sum()),
        n_repeats=n_repeats,
        explosions_begin=begin,
        repeated=[
            np.array(list(point.costs.values()))
            for point in tried_points(job, [trial for trial, *_ in complete])
            if len(point.costs) > 1
        ],
    )


def _usable(trials: Sequence[Trial], among: list[Axis], meaning: Meaning) -> list[tuple[Trial, float, list[float]]]:
    """The trials whose parameters lie in the job's search space or near it, with log10 rates and coordinates."""
    return [
        (trial, rate, others)
        for trial in trials
        if (rate := _log_rate(trial, meaning)) is not None and (others := encode(trial.params, among)) is not None
    ]


def _once(usable: Sequence[tuple[Trial, float, list[float]]]) -> list[tuple[Trial, float, list[float]]]:
    """Each run once: the first trial of each point, seed and state."""
    runs: dict[tuple[object, ...], tuple[Trial, float, list[float]]] = {}
    for trial, rate, others in usable:
        # A pruned run may stand beside one that went on, where stock Optuna has repeated it.
        runs.setdefault((rate, *others, seed_of(trial), trial.state), (trial, rate, others))
    return list(runs.values())


def _complete(job: Job, usable: Sequence[tuple[Trial, float, list[float]]]) -> list[Row]:
    """The complete trials, with their costs."""
    return [
        (trial, rate, others, cost, 0.0)
        for trial, rate, others in usable
        if (cost := cost_of(job, trial)) is not None and abs(cost) <= LARGEST
    ]


def _lost(
    complete: Sequence[Row], diverged: Sequence[tuple[Trial, float, list[float]]], among: list[Axis], guessing: float | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which complete trials exploded, and which are lost, (n,) each.

    Trials with the same words and booleans are compared, at rates shifted by the prior means.
    """
    shift = np.array([axis.shift.mean if axis.is_ordered else 0.0 for axis in among for _ in range(axis.width)])
    words = np.array([not axis.is_ordered for axis in among for _ in range(axis.width)], dtype=bool)
    rates = np.array([rate for _, rate, *_ in [*complete, *diverged]])
    others = np.array([row[2] for row in [*complete, *diverged]]).reshape(len(rates), len(shift))
    at = rates + others @ shift
    groups = np.unique(others[:, words], axis=0, return_inverse=True)[1].ravel() if words.any() else np.zeros(len(rates), np.intp)
    n = len(complete)
    costs = np.array([row[3] for row in complete])
    return find_exploded(at[:n], costs, guessing), find_lost(at[:n], costs, groups[:n], at[n:], groups[n:], guessing)


def _explosions_begin(complete: Sequence[Row], is_lost: npt.NDArray[np.bool_], guessing: float | None) -> float:
    """Only where the rate alone is searched: other parameters would shift it by amounts not known yet."""
    rates, costs = np.array([row[1] for row in complete]), np.array([row[3] for row in complete])
    return explosions_begin(rates[is_lost], costs[is_lost], guessing_level(rates, costs, guessing))


def _choices(dimension: Dimension | None) -> Array | None:
    """log10 of the rates that a dimension allows, ascending; None where they are too many, or none is positive."""
    match dimension:
        case CategoricalRange():
            numbers = [float(choice) for choice in dimension.choices if not isinstance(choice, str | bool)]
        case FloatRange(step=float() as step) | IntRange(step=step):
            if (discrete_values(dimension) or 1) > MOST_CHOICES:
                return None
            numbers = list(steps(dimension.low, dimension.high, step))
        case _:
            return None
    positive = np.unique([math.log10(number) for number in numbers if number > 0])
    return positive if len(positive) else None


def _log_rate(trial: Trial, meaning: Meaning) -> float | None:
    rate = learning_rate(trial.params, meaning)
    return math.log10(rate) if rate is not None and has_rate(trial.params, meaning) else None


def _ends(dimension: Dimension | None, rates: Sequence[float]) -> tuple[float, float]:
    """The range searched, log10; one that begins at zero or below is taken from the lowest rate tried."""
    match dimension:
        case FloatRange() | IntRange():
            ends = [float(dimension.low), float(dimension.high)]
        case CategoricalRange():
            ends = [float(choice) for choice in dimension.choices if not isinstance(choice, str)]
        case _:
            ends = []
    positive = [math.log10(end) for end in ends if end > 0]
    if len(positive) < 2 or min(positive) == max(positive):
        positive += rates
    return min(positive), max(positive)

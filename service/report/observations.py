"""Finished trials as numbers: what a response curve is fitted to."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.domain.job import Job, cost_sign
from service.domain.space import CategoricalRange, Dimension, FloatRange, IntRange
from service.domain.trial import CurvePoint, Trial, TrialState
from service.report.encoding import LEARNING_RATE, Array, Axis, axes, encode, learning_rate
from service.report.points import LARGEST, cost_of, tried_points

Curves = Mapping[int, Sequence[CurvePoint]]
"""By trial number: the metric as it was measured, in the order of steps."""

FEWEST_CURVES = 8
"""So many complete trials must have been measured where a pruned one ended, before one learns from it."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What a job's trials showed, n of them with a cost. Rates are log10."""

    low: float
    """The lowest rate of the range searched."""
    high: float
    axes: list[Axis]
    rates: Array
    """(n,)"""
    others: Array
    """(n, columns of the axes)"""
    costs: Array
    """(n,), the metric's last value, or less it where more is better: lower is better."""
    variances: Array
    """(n,), of what is not known of the cost, beside the noise of training: zero, but for pruned trials."""
    complete: npt.NDArray[np.bool_]
    """(n,), false for pruned trials."""
    trained_rates: Array
    """Rates at which trials trained to their end."""
    trained_points: list[Mapping[str, object]]
    """Their parameters."""
    diverged_rates: Array
    diverged_points: list[Mapping[str, object]]
    repeated: list[Array]
    """Costs of points that were tried with several training seeds, each point's."""

    @property
    def spread(self) -> float:
        """What four fifths of the trials that trained to their end lose to the best, at most."""
        costs = self.costs[self.complete]
        return float(np.quantile(costs, 0.8) - costs.min())

    @property
    def bound(self) -> float | None:
        """No cost is below it: zero, where none of the job's is negative."""
        return 0.0 if self.costs[self.complete].min() >= 0 else None

    @property
    def n_rates(self) -> int:
        """How many different rates have a cost of trials that trained to their end."""
        return len(np.unique(np.round(self.rates[self.complete], 6)))


def observe(job: Job, trials: Sequence[Trial], curves: Curves) -> Observations | None:
    """The numbers in a job's finished trials; None where not one of its trials has a positive learning rate and a finite cost.

    A pruned trial counts with the cost that it would have ended at, as foretold by a linear regression of final costs on the
    learning rate and on the costs at the fraction of the schedule where it ended, over the trials that went on from there.
    Rates beyond theirs count as the last of theirs. Of what it was worse than the worst of them it keeps a part that is
    anything between the regression's slope and all: those that go on are alike, and their slope is small, but a rate that has
    learned nothing in half of its schedule may learn nothing in the rest. Where what was worse then did not end worse, nothing
    else is foretold. Whether a trial was pruned hangs on what had been measured until then and on nothing else, so this
    regression is not biased by it (Rubin 1976, missing at random); what the regression does not know of the trial is added to
    its variance.
    """
    space = job.spec.search_space or {}
    among = axes(space)
    sign = cost_sign(job.direction)
    usable = [(trial, rate, others) for trial in trials if (rate := _log_rate(trial)) is not None
              and (others := encode(trial.params, among)) is not None]  # fmt: skip
    complete = [
        (trial, rate, others, cost, 0.0)
        for trial, rate, others in usable
        if (cost := cost_of(job, trial)) is not None and abs(cost) <= LARGEST
    ]
    if not complete:
        return None
    pruned = _foretold([each for each in usable if each[0].state is TrialState.PRUNED], complete, curves, sign)
    rows = complete + pruned
    diverged = [(trial, rate) for trial, rate, _ in usable if trial.state is TrialState.INFEASIBLE]
    low, high = _ends(space.get(LEARNING_RATE), [rate for _, rate, *_ in rows])
    return Observations(
        low=low,
        high=high,
        axes=among,
        rates=np.array([row[1] for row in rows]),
        others=np.array([row[2] for row in rows]).reshape(len(rows), -1),
        costs=np.array([row[3] for row in rows]),
        variances=np.array([row[4] for row in rows]),
        complete=np.arange(len(rows)) < len(complete),
        trained_rates=np.array([rate for _, rate, *_ in complete]),
        trained_points=[trial.params for trial, *_ in complete],
        diverged_rates=np.array([rate for _, rate in diverged]),
        diverged_points=[trial.params for trial, _ in diverged],
        repeated=[
            np.array(list(point.costs.values()))
            for point in tried_points(job, [trial for trial, *_ in complete])
            if len(point.costs) > 1
        ],
    )


Row = tuple[Trial, float, list[float], float, float]


def _foretold(
    pruned: Sequence[tuple[Trial, float, list[float]]], complete: Sequence[Row], curves: Curves, sign: float
) -> list[Row]:
    """The final costs of pruned trials, as far as those that went on tell."""
    from sklearn.linear_model import BayesianRidge  # only jobs that prune wait for its import

    rows: list[Row] = []
    by_fraction: defaultdict[float, list[tuple[Trial, float, list[float], float]]] = defaultdict(list)
    for trial, rate, others in pruned:
        last = next((point for point in reversed(curves.get(trial.number, ())) if point.fraction is not None), None)
        if last is not None and last.fraction is not None and not last.in_warmup and abs(last.value) <= LARGEST:
            by_fraction[round(last.fraction, 2)].append((trial, rate, others, sign * last.value))
    for fraction, ended in by_fraction.items():
        known = [
            (rate, sign * value, cost)
            for trial, rate, _, cost, _ in complete
            if (value := _value_at(curves.get(trial.number, ()), fraction)) is not None
        ]
        if len(known) < FEWEST_CURVES:
            continue
        rates, then, costs = (np.array(column) for column in zip(*known, strict=True))
        model = BayesianRidge().fit(_features(rates, then, rates, then), costs)
        slope = max(0.0, float(model.coef_[0]) / (then.std() or 1.0))
        stood = np.array([cost for *_, cost in ended])
        foretold, sd = model.predict(_features(np.array([rate for _, rate, *_ in ended]), stood, rates, then), return_std=True)
        excess = np.maximum(stood - then.max(), 0.0)
        foretold += excess * (slope + max(slope, 1.0)) / 2
        variances = sd**2 + (excess * max(0.0, 1.0 - slope)) ** 2 / 12
        rows += [
            (trial, rate, others, float(cost), float(variance))
            for (trial, rate, others, _), cost, variance, beyond in zip(ended, foretold, variances, excess, strict=True)
            if slope > 0 or beyond > 0
        ]
    return rows


def _features(rates: Array, costs: Array, all_rates: Array, all_costs: Array) -> Array:
    """Scaled by those that the regression is fitted to, as its priors want it, and no farther than theirs."""
    x = (np.clip(rates, all_rates.min(), all_rates.max()) - all_rates.mean()) / (all_rates.std() or 1.0)
    y = (np.clip(costs, all_costs.min(), all_costs.max()) - all_costs.mean()) / (all_costs.std() or 1.0)
    return np.stack([y, x], axis=1)


def _value_at(curve: Sequence[CurvePoint], fraction: float) -> float | None:
    """The first value at or after a fraction of the schedule."""
    for point in curve:
        if point.fraction is not None and point.fraction >= fraction - 0.005:
            return point.value if abs(point.value) <= LARGEST else None
    return None


def _log_rate(trial: Trial) -> float | None:
    rate = learning_rate(trial.params)
    return math.log10(rate) if rate is not None and rate > 0 else None


def _ends(dimension: Dimension | None, rates: Sequence[float]) -> tuple[float, float]:
    """The range searched, log10; where that begins at zero or below, from the lowest rate tried."""
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

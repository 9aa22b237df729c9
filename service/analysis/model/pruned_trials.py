"""Predicted final costs of pruned trials."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from service.analysis.model.encoding import Array
from service.analysis.model.points import LARGEST
from service.domain.measurement import CurvePoint
from service.domain.trial import Trial

Curves = Mapping[int, Sequence[CurvePoint]]
"""The measured metric by trial number, in the order of steps."""

FEWEST_CURVES = 8
"""Fewest complete trials with a measurement where a pruned one ended: with fewer nothing is predicted."""

Row = tuple[Trial, float, list[float], float, float]


def predicted(
    pruned: Sequence[tuple[Trial, float, list[float]]], complete: Sequence[Row], curves: Curves, sign: float
) -> list[Row]:
    """The final costs of pruned trials, predicted from the trials that went on.

    A linear regression, over the trials that went on, of final costs on the learning rate and on the costs at the fraction of the
    schedule where the pruned trial ended. Rates outside their range are clipped to it. A pruned trial that was worse than the
    worst of them keeps a part of that excess, uniform between the regression's slope and 1: trials that go on are alike, so their
    slope is small, but a rate that has learned nothing in half of its schedule may learn nothing in the rest. Where the slope is
    not positive, only trials with such an excess are predicted. Whether a trial was pruned depends only on what had been measured
    by then, so the regression is not biased by it (Rubin 1976, missing at random). The prediction's variance is returned, too.
    """
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
        from sklearn.linear_model import BayesianRidge  # takes over a second: not before the first prediction

        rates, then, costs = (np.array(column) for column in zip(*known, strict=True))
        model = BayesianRidge().fit(_features(rates, then, rates, then), costs)
        slope = max(0.0, float(model.coef_[0]) / (then.std() or 1.0))
        stood = np.array([cost for *_, cost in ended])
        expected, sd = model.predict(_features(np.array([rate for _, rate, *_ in ended]), stood, rates, then), return_std=True)
        excess = np.maximum(stood - then.max(), 0.0)
        expected += excess * (slope + max(slope, 1.0)) / 2
        variances = sd**2 + (excess * max(0.0, 1.0 - slope)) ** 2 / 12
        rows += [
            (trial, rate, others, float(cost), float(variance))
            for (trial, rate, others, _), cost, variance, beyond in zip(ended, expected, variances, excess, strict=True)
            if slope > 0 or beyond > 0
        ]
    return rows


def _features(rates: Array, costs: Array, all_rates: Array, all_costs: Array) -> Array:
    """Standardized by the data that the regression is fitted to, as its priors expect, and clipped to their range."""
    x = (np.clip(rates, all_rates.min(), all_rates.max()) - all_rates.mean()) / (all_rates.std() or 1.0)
    y = (np.clip(costs, all_costs.min(), all_costs.max()) - all_costs.mean()) / (all_costs.std() or 1.0)
    return np.stack([y, x], axis=1)


def _value_at(curve: Sequence[CurvePoint], fraction: float) -> float | None:
    """The first value at or after a fraction of the schedule."""
    for point in curve:
        if point.fraction is not None and point.fraction >= fraction - 0.005:
            return point.value if abs(point.value) <= LARGEST else None
    return None

"""What a pruned trial would have cost at the end of its schedule."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from service.analysis.model.encoding import Array
from service.analysis.model.points import LARGEST
from service.domain.measurement import CurvePoint
from service.domain.trial import Trial

Curves = Mapping[int, Sequence[CurvePoint]]
"""By trial number: the metric as it was measured, in the order of steps."""

FEWEST_CURVES = 8
"""So many complete trials must have been measured where a pruned one ended, before one learns from it."""

Row = tuple[Trial, float, list[float], float, float]


def predicted(
    pruned: Sequence[tuple[Trial, float, list[float]]], complete: Sequence[Row], curves: Curves, sign: float
) -> list[Row]:
    """The final costs of pruned trials, as far as those that went on tell.

    By a linear regression of final costs on the learning rate and on the costs at the fraction of the schedule where the trial
    ended, over the trials that went on from there. Rates beyond theirs count as the last of theirs. Of what it was worse than the
    worst of them it keeps a part that is anything between the regression's slope and all: those that go on are alike, and their
    slope is small, but a rate that has learned nothing in half of its schedule may learn nothing in the rest. Where what was
    worse then did not end worse, nothing else is predicted. Whether a trial was pruned hangs on what had been measured until
    then and on nothing else, so this regression is not biased by it (Rubin 1976, missing at random); what the regression does
    not know of the trial is added to its variance.
    """
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

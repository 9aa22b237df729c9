"""The usual comparison, at one learning rate for all, to be shown beside the fair one."""

import math
from collections.abc import Container, Mapping, Sequence
from uuid import UUID

from service.analysis.comparison.tuned import Judged, Tuned
from service.analysis.model.response_curve import MOSTLY
from service.analysis.words import comparison as words
from service.domain.comparison import AtRateView, SharedRateView


def at_shared_rate(
    judged: Sequence[Judged], learning_rate: float, best: UUID, as_good: Container[UUID], labels: Mapping[UUID, str]
) -> SharedRateView:
    """best: the winner of the fair comparison. as_good: the jobs that are as good, including it."""
    jobs = tuple(_at(tuned, learning_rate) for tuned in judged)
    sign = judged[0].job.spec.cost_sign
    costs = {each.job: sign * each.expected.mean for each in jobs if each.expected is not None}
    n_searched = sum(_tried(each, learning_rate) for each in judged)
    winner = min(costs, key=costs.__getitem__) if costs and n_searched >= 2 else None
    if winner is None:
        because = words.nobody_wins(learning_rate)
        return SharedRateView(learning_rate=learning_rate, jobs=jobs, winner=None, agrees=None, because=because)
    agrees = winner in as_good
    because = words.would_win(learning_rate, winner, jobs, labels, fair_winner=None if agrees else best)
    return SharedRateView(learning_rate=learning_rate, jobs=jobs, winner=winner, agrees=agrees, because=because)


def _tried(judged: Judged, learning_rate: float) -> bool:
    if isinstance(judged, Tuned):
        return judged.seen.low - 1e-9 <= math.log10(learning_rate) <= judged.seen.high + 1e-9
    return judged.rate is not None and math.isclose(judged.rate.mean, learning_rate)


def _at(tuned: Judged, learning_rate: float) -> AtRateView:
    if not isinstance(tuned, Tuned):
        is_there = _tried(tuned, learning_rate)
        because = None if is_there else words.another_rate(None if tuned.rate is None else tuned.rate.mean)
        return AtRateView(job=tuned.job.id, expected=tuned.expected if is_there else None, because=because)
    rate = math.log10(learning_rate)
    if not _tried(tuned, learning_rate):
        because = words.not_searched_there(10**tuned.seen.low, 10**tuned.seen.high)
        return AtRateView(job=tuned.job.id, expected=None, because=because)
    optimum = tuned.curve.at_rate(rate)
    if tuned.curve.loses(optimum.point[None])[0] > MOSTLY:
        return AtRateView(job=tuned.job.id, expected=None, because=words.diverges_there())
    return AtRateView(job=tuned.job.id, expected=optimum.cost.times(tuned.job.spec.cost_sign), because=None)

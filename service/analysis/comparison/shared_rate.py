"""The comparison that is usually made, at one learning rate for all: to be shown beside the fair one."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service.analysis.comparison.tuned import Tuned
from service.analysis.model.estimates import Estimate
from service.analysis.model.response_curve import MOSTLY


@dataclass(frozen=True, kw_only=True)
class AtRate:
    """A job at the shared rate."""

    job: UUID
    cost: Estimate | None
    """Expected, with the job's other parameters at their best for this rate; None where the job tells nothing of it."""
    because: str | None
    """Why not."""


@dataclass(frozen=True, kw_only=True)
class SharedRate:
    """All jobs at one rate."""

    learning_rate: float
    jobs: list[AtRate]
    winner: UUID | None
    """With the lowest expected cost; None where fewer than two jobs searched this rate, or it diverges in all."""
    agrees: bool | None
    """Whether it is the best one in the fair comparison, too, or as good."""
    because: str


def at_shared_rate(
    judged: Sequence[Tuned], learning_rate: float, best: UUID, as_good: Container[UUID], labels: Mapping[UUID, str]
) -> SharedRate:
    """best: the winner of the fair comparison. as_good: those that are as good, itself among them."""
    found = [_at(tuned, learning_rate) for tuned in judged]
    told = {each.job: each.cost for each in found if each.cost is not None}
    n_searched = sum(tuned.seen.low - 1e-9 <= math.log10(learning_rate) <= tuned.seen.high + 1e-9 for tuned in judged)
    winner = min(told, key=lambda job: told[job].mean) if told and n_searched >= 2 else None
    if winner is None:
        because = f"fewer than two of the jobs tell of a learning rate of {learning_rate:.3g}"
        return SharedRate(learning_rate=learning_rate, jobs=found, winner=None, agrees=None, because=because)
    sign = judged[0].job.spec.cost_sign
    shown = ", ".join(
        f"{labels[each.job]} {'-' if each.cost is None else format(sign * each.cost.mean, '.3g')}" for each in found
    )
    because = f"at one learning rate of {learning_rate:.3g} for all, {labels[winner]} would win ({shown})"
    if winner not in as_good:
        because += f"; that rate suits it better: each at its own best rate, {labels[best]} wins"
    return SharedRate(learning_rate=learning_rate, jobs=found, winner=winner, agrees=winner in as_good, because=because)


def _at(tuned: Tuned, learning_rate: float) -> AtRate:
    rate = math.log10(learning_rate)
    if not tuned.seen.low - 1e-9 <= rate <= tuned.seen.high + 1e-9:
        because = f"it searched {10**tuned.seen.low:.3g} to {10**tuned.seen.high:.3g}"
        return AtRate(job=tuned.job.id, cost=None, because=because)
    optimum = tuned.curve.at_rate(rate)
    if tuned.curve.loses(optimum.point[None])[0] > MOSTLY:
        return AtRate(job=tuned.job.id, cost=None, because="it most likely diverges there")
    return AtRate(job=tuned.job.id, cost=optimum.cost, because=None)

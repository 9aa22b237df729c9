"""Measurements in plain values, whatever types the objective used."""

from collections.abc import Callable, Sequence
from operator import index
from typing import Any, TypeVar

from service.domain.measurement import MAX_ENTRIES, MAX_UPDATE, Divergence, GroupRate, Measurement

T = TypeVar("T")


class BadMeasurement(ValueError):
    """An objective measured what cannot be stored. The name of this class is stored as the type of the trial's error."""


def plain(item: Measurement) -> Measurement:
    """The same measurement in plain values. Raises BadMeasurement."""
    step = int(item.step)
    return Measurement(
        step=step,
        fraction=float(item.fraction),
        in_warmup=bool(item.in_warmup),
        metrics={name: float(value) for name, value in item.metrics.items()},
        learning_rate=float(item.learning_rate),
        seconds=float(item.seconds),
        group_rates=_each(step, "group_rates", item.group_rates, _group_rate),
        update_losses=_each(step, "update_losses", item.update_losses, _update_loss),
        best_step=None if item.best_step is None else _best_step(step, item.best_step),
        divergence=None if item.divergence is None else _divergence(step, item.divergence),
    )


def _divergence(step: int, evidence: Any) -> Divergence:
    try:
        return Divergence(reason=str(evidence.reason), update=index(evidence.update), fraction=float(evidence.fraction))
    except Exception as error:  # the evidence may be anything, and raise anything
        raise BadMeasurement(f"step {step} measured a divergence that cannot be stored: {error}") from error


def _each(step: int, name: str, entries: Sequence[Any], plain_entry: Callable[[Any], T]) -> tuple[T, ...]:
    try:
        count = len(entries)
        if count <= MAX_ENTRIES:
            return tuple(map(plain_entry, entries))
    except Exception as error:  # an entry may be anything, and raise anything
        raise BadMeasurement(f"step {step} measured {name} that cannot be stored: {error}") from error
    raise BadMeasurement(f"step {step} measured {count:,} {name}: at most {MAX_ENTRIES:,} are stored")


def _group_rate(rate: Any) -> GroupRate:
    if not isinstance(rate.group, str):
        raise TypeError(f"{rate.group!r} is no name of a group")
    return GroupRate(
        group=str(rate.group),
        learning_rate=float(rate.learning_rate),
        momentum=None if rate.momentum is None else float(rate.momentum),
    )


def _update_loss(pair: Any) -> tuple[int, float]:
    update, loss = index(pair[0]), float(pair[1])
    if len(pair) != 2 or not 1 <= update <= MAX_UPDATE:
        raise ValueError(f"{pair!r} is no update, counted from 1, and its loss")
    return update, loss


def _best_step(step: int, best_step: Any) -> int:
    try:
        best = index(best_step)
    except TypeError:
        best = 0
    if not 1 <= best <= step:
        raise BadMeasurement(f"step {step} named {best_step!r} as its best_step: it must be a step from 1 to {step}")
    return best

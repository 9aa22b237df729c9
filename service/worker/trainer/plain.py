"""Measurements in plain values, whatever types the objective used."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any, TypeVar

from service.domain.measurement import MAX_ENTRIES, MAX_UPDATE, Divergence, GroupRate, Measurement

T = TypeVar("T")


class BadMeasurement(ValueError):
    """An objective measured what cannot be stored. The name of this class is stored as the type of the trial's error.

    for_every_trial: whether that lies in its code, whatever the parameters.
    """

    def __init__(self, message: str, *, for_every_trial: bool = False) -> None:
        super().__init__(message)
        self.for_every_trial = for_every_trial


def plain(item: Measurement) -> Measurement:
    """The same measurement in plain values. Raises BadMeasurement."""
    if not isinstance(item, Measurement):
        text = f"the run yielded a {type(item).__name__}: it must yield objectives.contract.Measurement"
        raise BadMeasurement(text, for_every_trial=True)
    step = _step(item.step)
    return Measurement(
        step=step,
        fraction=_number(f"step {step} has the fraction", item.fraction),
        in_warmup=bool(item.in_warmup),
        metrics=numbers(f"step {step}", item.metrics),
        learning_rate=_number(f"step {step} has the learning_rate", item.learning_rate),
        seconds=_number(f"step {step} has seconds", item.seconds),
        group_rates=_each(step, "group_rates", item.group_rates, _group_rate),
        update_losses=_each(step, "update_losses", item.update_losses, _update_loss),
        best_step=None if item.best_step is None else _best_step(step, item.best_step),
        divergence=None if item.divergence is None else _divergence(step, item.divergence),
    )


def numbers(where: str, metrics: Any) -> dict[str, float]:
    """Metrics by name as plain numbers; none for None. where: what measured them, for the message. Raises BadMeasurement."""
    if metrics is None:
        return {}
    if not isinstance(metrics, Mapping):
        raise BadMeasurement(f"{where} measured a {type(metrics).__name__}: it must be a dictionary from names to numbers")
    for name in metrics:
        if not isinstance(name, str):
            raise BadMeasurement(f"{where} measured {name!r}, a name that is no text")
    return {str(name): _number(f"{where} measured the {name}", value) for name, value in metrics.items()}


def value_of(value: Any) -> float | None:
    """A run's `value` as a plain number; None where it has none. Raises BadMeasurement."""
    return None if value is None else _number("the run has the value", value)


def attributes(attrs: Any) -> dict[str, Any]:
    """A run's `user_attrs` as JSON has them. Raises BadMeasurement."""
    if attrs is None:
        return {}
    if not isinstance(attrs, Mapping):
        raise BadMeasurement(f"the run has user_attrs of type {type(attrs).__name__}: they must be a dictionary")
    stored = {}
    for name, value in attrs.items():
        try:
            stored[str(name)] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            raise BadMeasurement(f"the run has the user attribute {name!r}, which cannot be stored: {error}") from error
    return stored


def _number(what: str, value: Any) -> float:
    """A number of any library, or a tensor of one element. One too large for a float is infinite. Raises BadMeasurement."""
    try:
        number = value.item() if hasattr(value, "item") else value
        if not isinstance(number, str | bytes):
            return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
    except Exception as error:  # a value may be anything, and raise anything
        raise BadMeasurement(f"{what} {_shown(value)}: it must be one number") from error
    raise BadMeasurement(f"{what} {_shown(value)}, which is text: it must be a number")


def _step(step: Any) -> int:
    try:
        return int(step) if isinstance(step, float) and step.is_integer() else index(step)
    except TypeError:
        raise BadMeasurement(f"a run measured step {_shown(step)}: steps are whole numbers, counted from 1") from None


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text[:40]}..." if len(text) > 43 else text


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

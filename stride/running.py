"""`steps` and `report` for a function that is given no trial. Outside of a trial it trains as if Stride were not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stride.trial import Trial

_RUNNING: list[Trial] = []


def steps(n: int, *objects: Any) -> Iterator[int]:
    """As `Trial.steps`; outside of a trial, the numbers from 0 to n - 1."""
    trial = running_trial()
    return iter(range(n)) if trial is None else trial.steps(n, *objects)


def report(step: int | None = None, *, learning_rate: float | None = None, **metrics: Any) -> bool:
    """As `Trial.report`; outside of a trial, it does nothing and returns False."""
    trial = running_trial()
    return trial is not None and trial.report(step, learning_rate=learning_rate, **metrics)


def running_trial() -> Trial | None:
    """The trial that is trained; None: there is none. Raises RuntimeError where a client's threads train several."""
    if len(_RUNNING) > 1:
        raise RuntimeError(f"{len(_RUNNING)} trials are trained in this process at once: name the one that is meant")
    return _RUNNING[0] if _RUNNING else None


@contextmanager
def current(trial: Trial) -> Iterator[None]:
    """The functions of this module are those of the trial within the block."""
    _RUNNING.append(trial)
    try:
        yield
    finally:
        _RUNNING.remove(trial)

"""Compares the faulty run with the calm one: a job's trials and measurements must not depend on what happened to its processes.

Compares everything that is stored of a trial and of each of its steps, except times, throughput, workers and attempts. Numbers
must be equal to the last bit; any nan equals any other.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from tests.chaos.history import JobHistory, Step, Trial

WHOLE_TRIAL = ("number", "state", "value", "params", "user_attrs", "system_attrs")
"""Value and params as Optuna stores them. Attributes: the constraint, the diverged-at step and its evidence, test metrics."""
WHOLE_STEP = ("step", "fraction", "in_warmup", "metrics", "learning_rate", "details", "intermediate_value")


def differences(calm: JobHistory, faulty: JobHistory) -> Iterator[str]:
    """Describes the differences between two runs of the same job."""
    if calm.spec != faulty.spec:
        yield f"job {faulty.name}: not the same specification"
        return
    theirs = {trial.number: trial for trial in faulty.trials}
    for trial in calm.trials:
        found = theirs.pop(trial.number, None)
        if found is None:
            yield f"job {faulty.name}: trial {trial.number} is missing"
        else:
            for what in _of_trial(trial, found):
                yield f"job {faulty.name}, trial {trial.number}{what}"
    for number in theirs:
        yield f"job {faulty.name}: there is a trial {number} that the calm run does not have"


def same(one: Any, other: Any) -> bool:
    """Whether two stored values are the same to the last bit, wherever they hold numbers."""
    match one, other:
        case float(), float():
            return one == other or (math.isnan(one) and math.isnan(other))
        case Mapping(), Mapping():
            return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
        case ((list() | tuple()), (list() | tuple())):
            return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _of_trial(calm: Trial, faulty: Trial) -> Iterator[str]:
    yield from _fields(WHOLE_TRIAL, calm, faulty)
    theirs = {step.step: step for step in faulty.steps}
    for step in calm.steps:
        found = theirs.pop(step.step, None)
        if found is None:
            yield f", step {step.step} is missing"
        else:
            for what in _fields(WHOLE_STEP, step, found):
                yield f", step {step.step}{what}"
    for number in theirs:
        yield f": there is a step {number} that the calm run does not have"


def _fields(names: tuple[str, ...], calm: Trial | Step, faulty: Trial | Step) -> Iterator[str]:
    for name in names:
        expected, found = getattr(calm, name), getattr(faulty, name)
        if not same(expected, found):
            yield f", {name}: calm {expected}, faulty {found}"

"""The stand-in for optuna.Trial that an Optuna objective gets from Stride: the values come from the job."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

from stride.declaration import original
from stride.reporting import Reports, attribute, number
from stride.suggestions import Range, Suggestions, described, flaw


class ContradictsSpace(ValueError):
    """The objective asked for what the job's search space does not give."""


class OptunaTrial(Suggestions):
    """One trial, as an Optuna objective knows it."""

    def __init__(self, reports: Reports, values: Mapping[str, Any], number: int) -> None:
        self.number = number
        self.params: dict[str, Any] = {}
        """What was suggested so far."""
        self._reports = reports
        self._values = values
        self._reported: set[int] = set()

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What was noted so far."""
        return dict(self._reports.attributes)

    def set_user_attr(self, key: str, value: Any) -> None:
        """As Optuna's; it is stored at the trial's end."""
        name, plain = attribute(key, value)
        self._reports.attributes[name] = plain

    def report(self, value: float, step: int) -> None:
        """As Optuna's. Waits until the next step is asked for."""
        plain, step = number("the reported value", value), int(step)
        if step < 0:
            raise ValueError(f"the step is {step}: it must not be negative")
        if step in self._reported:
            warnings.warn(f"The reported value is ignored because this `step` {step} is already reported.", stacklevel=2)
            return
        self._reported.add(step)
        self._reports.report(step, {"value": plain}, None)

    def should_prune(self) -> bool:
        """As Optuna's."""
        return self._reports.stopping

    def _suggest(self, name: str, asked: Range) -> Any:
        if self._reported and name not in self._values:
            raise ContradictsSpace(
                f"the objective suggests {name!r} after its first report, and it is not in the job's search space: suggest all"
                " parameters before the first report, or state the search space in a job file"
            )
        value = self.params[name] = given(name, asked, self._values)
        return value


def given(name: str, asked: Range, values: Mapping[str, Any]) -> Any:
    """The job's value of a parameter that the objective suggests in a range. Raises ContradictsSpace."""
    if name not in values:
        has = ", ".join(values) or "nothing"
        raise ContradictsSpace(f"the objective suggests {name!r}, which is not in the job's search space; it has {has}")
    value = values[name]
    if asked["type"] == "categorical":
        value = original(asked["choices"], value)
    problem = flaw(asked, value)
    if problem is not None:
        raise ContradictsSpace(
            f"the job gives {name} the value {value!r}, which {problem}: the objective suggests {described(asked)}"
        )
    return value


def is_pruned(error: BaseException) -> bool:
    """Whether it is Optuna's TrialPruned."""
    optuna = sys.modules.get("optuna")
    return optuna is not None and isinstance(error, optuna.TrialPruned)

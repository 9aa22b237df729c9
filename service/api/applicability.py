"""Which parameters and settings apply in a job, given the values that its other parameters and settings may have."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from objectives.catalog import all_values
from objectives.contract import Objective, may_apply
from objectives.declarations import conditions
from service.domain.space import CategoricalRange, FloatRange, IntRange, SearchSpace, contains


class Applicability:
    """Which parameters and settings may apply in a job. Those missing from `space` and `settings` have their defaults."""

    def __init__(self, objective: Objective, space: SearchSpace, settings: Mapping[str, Any]) -> None:
        self._dimensions = all_values(objective, space, settings)
        self._conditions = conditions(objective)
        self._named = defaultdict[str, list[Any]](list)
        for cases in self._conditions.values():
            for case in cases:
                for name, values in case.items():
                    self._named[name] += values
        self._possible = defaultdict[str, Collection[Any]](tuple, {name: self._values(name) for name in self._dimensions})

    def may_apply(self, name: str) -> bool:
        """Whether a parameter or setting applies in at least some of the trials."""
        return may_apply(self._conditions.get(name, ()), self._possible)

    def why_not(self, name: str) -> str:
        """Why a parameter or setting applies in no trial, and what would have to change at least for it to apply."""
        cases = [(case, self._unmet(case)) for case in self._conditions[name]]
        fewest = min(len(unmet) for _, unmet in cases)
        nearest = [(case, unmet) for case, unmet in cases if len(unmet) == fewest]
        present = " and ".join(dict.fromkeys(self._in_words(other) for _, unmet in nearest for other in unmet))
        wanted = ", or when ".join(
            " and ".join(f"{other} is {_either(list(map(shown, values)))}" for other, values in case.items())
            for case, _ in nearest
        )
        return f"{name} has no effect with {present}: it applies when {wanted}"

    def _values(self, name: str) -> Collection[Any]:
        """The values that a parameter or setting may have; of a numeric range, those that conditions of others name."""
        match self._dimensions[name]:
            case CategoricalRange() as dimension:
                return dimension.choices
            case FloatRange() | IntRange() as dimension:
                return [value for value in self._named[name] if contains(dimension, value)]
            case value:
                return (value,)

    def _unmet(self, case: Mapping[str, Sequence[Any]]) -> list[str]:
        return [name for name, wanted in case.items() if not any(value in wanted for value in self._possible[name])]

    def _in_words(self, name: str) -> str:
        return f"{name} {described(self._dimensions[name])}" if name in self._dimensions else f"no {name}"


def described(dimension: Any) -> str:
    """A range, or a value, in words."""
    match dimension:
        case CategoricalRange():
            return _either(list(map(shown, dimension.choices)))
        case FloatRange() | IntRange():
            step = f" in steps of {dimension.step:g}" if dimension.step not in (None, 1) else ""
            whole = "whole numbers " if isinstance(dimension, IntRange) else ""
            return f"{whole}{dimension.low:g} to {dimension.high:g}{step}"
        case _:
            return shown(dimension)


def shown(value: Any) -> str:
    """A value as it is written in a job: null, true and false as in JSON."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

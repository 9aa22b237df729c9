"""Finds the search space of an Optuna objective: by asking it, with a trial that notes what is suggested."""

import math
import random
import time
from collections.abc import Callable
from typing import Any

from stride import generators
from stride.optuna_trial import is_pruned
from stride.suggestions import Range, Suggestions, described

RECORDINGS = 8
"""How often the objective is asked at most, each time with other values."""
QUICK_S = 10.0
"""It is asked once more only while it was asked for less than this: a step of training may take hours."""


class ChangingSpace(Exception):
    """The space is not the same for all values; the message says where."""


class _Reported(BaseException):
    """Ends the objective at its first report. No Exception: its own handlers let it pass."""


class _Recorder(Suggestions):
    """Draws random values. tried: the choices that earlier recordings have drawn, by parameter; others are drawn first."""

    number = 0

    def __init__(self, draw: random.Random, tried: dict[str, list[Any]]) -> None:
        self.space: dict[str, Range] = {}
        self.params: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}
        self._draw = draw
        self._tried = tried

    def report(self, value: float, step: int) -> None:
        raise _Reported

    def should_prune(self) -> bool:
        return False

    def set_user_attr(self, key: str, value: Any) -> None:
        self.user_attrs[key] = value

    def _suggest(self, name: str, asked: Range) -> Any:
        before = self.space.setdefault(name, asked)
        if before != asked:
            raise ChangingSpace(f"it suggests {name} with two ranges, {described(before)} and {described(asked)}")
        if name not in self.params:
            self.params[name] = self._drawn(name, asked)
        return self.params[name]

    def _drawn(self, name: str, asked: Range) -> Any:
        if asked["type"] == "categorical":
            tried = self._tried.setdefault(name, [])
            choice = self._draw.choice([choice for choice in asked["choices"] if choice not in tried] or asked["choices"])
            tried.append(choice)
            return choice
        low, high, step = asked["low"], asked["high"], asked.get("step", 1 if asked["type"] == "int" else None)
        if asked["log"]:
            value = min(max(math.exp(self._draw.uniform(math.log(low), math.log(high))), low), high)
            return round(value) if asked["type"] == "int" else value
        if step is None:
            return self._draw.uniform(low, high)
        return min(low + step * self._draw.randint(0, math.floor((high - low) / step + 1e-9)), high)


def record(objective: Callable[[Any], Any]) -> dict[str, Range]:
    """The ranges that an objective suggests, by name. Raises ChangingSpace, and what the objective raises."""
    began = time.monotonic()
    tried: dict[str, list[Any]] = {}
    first: dict[str, Range] = {}
    for seed in range(RECORDINGS):
        recorder = _Recorder(random.Random(seed), tried)
        generators.seed(seed)
        is_whole = True
        try:
            objective(recorder)
        except _Reported:
            pass
        except ChangingSpace:
            raise
        except Exception as error:
            if not is_pruned(error):
                if seed == 0:
                    raise
                is_whole = False  # by values that are no good: the trial that has them will fail, and say so
        if seed == 0:
            first = recorder.space
        else:
            _compare(first, recorder.space, is_whole)
        is_tried = all(
            len(set(map(repr, tried[name]))) == len(asked["choices"]) for name, asked in first.items() if name in tried
        )
        if time.monotonic() - began > QUICK_S or (seed > 0 and is_tried):
            break
    return first


def _compare(first: dict[str, Range], other: dict[str, Range], is_whole: bool) -> None:
    for name in first.keys() | other.keys():
        one, two = first.get(name), other.get(name)
        if one != two and (two is not None or is_whole):
            ranges = " and ".join("not at all" if each is None else described(each) for each in (one, two))
            raise ChangingSpace(f"it suggests {name} differently for other values, {ranges}")

"""Finds the search space of an Optuna objective: by asking it, with a trial that notes what is suggested."""

import math
import random
import signal
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from stride import generators
from stride.optuna_trial import ContradictsSpace, given, is_pruned
from stride.suggestions import Range, Suggestions, described

RECORDINGS = 8
"""How often the objective is asked at most, each time with other values."""
FURTHER_S = 2.0
"""How long it is asked with other values, all times together."""
SILENT_S = 30.0
"""How long after a suggestion it may train on without another suggestion or report: then it is taken to have suggested all."""
_AGAIN_S = 1.0


class ChangingSpace(Exception):
    """The space is not the same for all values; the message says where."""


class _Ended(BaseException):
    """Ends the objective. No Exception: its own handlers let it pass."""


class _Reported(_Ended):
    """It has reported first."""


class _Silent(_Ended):
    """It has trained for as long as it may."""


class _Recorder(Suggestions):
    """Draws random values.

    tried: the choices that earlier recordings have drawn, by parameter; others are drawn first. silent_s: how long the objective
    may take after a suggestion; None: that is limited elsewhere.
    """

    number = 0

    def __init__(self, draw: random.Random, tried: dict[str, list[Any]], silent_s: float | None = None) -> None:
        self.space: dict[str, Range] = {}
        self.params: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}
        self._draw = draw
        self._tried = tried
        self._silent_s = silent_s

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
            self.params[name] = self._value(name, asked)
        if self._silent_s is not None:
            _end_in(self._silent_s)
        return self.params[name]

    def _value(self, name: str, asked: Range) -> Any:
        if asked["type"] == "categorical":
            tried = self._tried.setdefault(name, [])
            choice = self._draw.choice([choice for choice in asked["choices"] if choice not in tried] or asked["choices"])
            tried.append(choice)
            return choice
        low, high, step = asked["low"], asked["high"], asked.get("step", 1 if asked["type"] == "int" else None)
        if asked.get("log"):
            value = min(max(math.exp(self._draw.uniform(math.log(low), math.log(high))), low), high)
            return round(value) if asked["type"] == "int" else value
        if step is None:
            return self._draw.uniform(low, high)
        return min(low + step * self._draw.randint(0, math.floor((high - low) / step + 1e-9)), high)


class _Tried(_Recorder):
    """Draws the values from a space that was stated. Raises ContradictsSpace where the objective asks for others."""

    def __init__(self, stated: Mapping[str, Any], draw: random.Random, tried: dict[str, list[Any]]) -> None:
        super().__init__(draw, tried)
        self._values = {name: self._value(name, each) if isinstance(each, dict) else each for name, each in stated.items()}

    def _suggest(self, name: str, asked: Range) -> Any:
        value = self.params[name] = given(name, asked, self._values)
        return value


def record(objective: Callable[[Any], Any]) -> dict[str, Range]:
    """The ranges that an objective suggests, by name. Raises ChangingSpace, and what the objective raises.

    It is asked once for as long as it takes to report first, and then with other values for FURTHER_S. To be called in the main
    thread: it uses SIGALRM.
    """
    tried: dict[str, list[Any]] = {}
    recorder = _Recorder(random.Random(0), tried, SILENT_S)
    is_whole = _ask(objective, recorder, 0, None)
    first = recorder.space
    if not is_whole:
        return first
    until = time.monotonic() + FURTHER_S
    for seed in range(1, RECORDINGS):
        if (left_s := until - time.monotonic()) <= 0:
            break
        recorder = _Recorder(random.Random(seed), tried)
        _compare(first, recorder.space, _ask(objective, recorder, seed, left_s))
        if all(len(set(map(repr, tried[name]))) == len(asked["choices"]) for name, asked in first.items() if name in tried):
            break
    return first


def check(objective: Callable[[Any], Any], stated: Mapping[str, Any]) -> None:
    """Ask an objective for FURTHER_S for values of a space that was stated, in the form of the REST API.

    Raises ContradictsSpace, where it suggests what was not stated, and what the objective raises.
    """
    tried: dict[str, list[Any]] = {}
    until = time.monotonic() + FURTHER_S
    for seed in range(RECORDINGS):
        if (left_s := until - time.monotonic()) <= 0:
            break
        _ask(objective, _Tried(stated, random.Random(seed), tried), seed, left_s)


def _ask(objective: Callable[[Any], Any], recorder: _Recorder, seed: int, within_s: float | None) -> bool:
    """Call the objective; returns whether it came to its first report or its end. within_s: how long it may take."""
    generators.seed(seed)
    before = signal.signal(signal.SIGALRM, _end)
    try:
        try:
            if within_s is not None:
                _end_in(within_s)
            objective(recorder)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _Silent:
        return False
    except _Reported:
        return True
    except (ChangingSpace, ContradictsSpace):
        raise
    except Exception as error:
        # Other values than the first may be no good: the trial that has them will fail, and say so.
        if seed == 0 and not is_pruned(error):
            raise
        return is_pruned(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # it may have gone off before it was stopped
        signal.signal(signal.SIGALRM, before)
    return True


def _end_in(seconds: float) -> None:
    # Again and again: the objective may have caught the first.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3), _AGAIN_S)


def _end(number: int, frame: FrameType | None) -> None:
    raise _Silent


def _compare(first: dict[str, Range], other: dict[str, Range], is_whole: bool) -> None:
    for name in first.keys() | other.keys():
        one, two = first.get(name), other.get(name)
        if one != two and (two is not None or is_whole):
            ranges = " and ".join("not at all" if each is None else described(each) for each in (one, two))
            raise ChangingSpace(f"it suggests {name} differently for other values, {ranges}")

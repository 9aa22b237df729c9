"""Optuna's suggest_* calls, as ranges in the form of Stride's REST API."""

import math
from collections.abc import Sequence
from typing import Any

Range = dict[str, Any]


class Suggestions:
    """What an Optuna objective is called with. What a suggestion is answered with is left to the subclass."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False) -> float:
        """As Optuna's."""
        asked = _checked(name, {"type": "float", "low": float(low), "high": float(high), "log": bool(log)}, step)
        return float(self._suggest(name, asked))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """As Optuna's."""
        asked = _checked(name, {"type": "int", "low": int(low), "high": int(high), "log": bool(log)}, None if step == 1 else step)
        return int(self._suggest(name, asked))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As Optuna's."""
        if not len(choices):
            raise ValueError(f"{name} was suggested with no choices")
        return self._suggest(name, {"type": "categorical", "choices": list(choices)})

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """As Optuna's, which will drop it."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """As Optuna's, which will drop it."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """As Optuna's, which will drop it."""
        return self.suggest_float(name, low, high, step=q)

    def _suggest(self, name: str, asked: Range) -> Any:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"Stride calls the objective with a trial that has no {name!r}; it has suggest_*, report, should_prune,"
            " set_user_attr, user_attrs, params and number"
        )


def described(asked: Range) -> str:
    """A range in words."""
    if asked["type"] == "categorical":
        return f"one of {', '.join(map(repr, asked['choices']))}"
    how = " on a logarithmic scale" if asked["log"] else f" in steps of {asked['step']:g}" if "step" in asked else ""
    kind = "whole numbers from " if asked["type"] == "int" else ""
    return f"{kind}{asked['low']:g} to {asked['high']:g}{how}"


def flaw(asked: Range, value: Any) -> str | None:
    """Why a value does not lie in a range; None: it does."""
    if asked["type"] == "categorical":
        known = any(type(choice) is type(value) and (choice == value or choice is value) for choice in asked["choices"])
        return None if known else "is none of the choices"
    if isinstance(value, bool | str) or (asked["type"] == "int" and value != int(value)):
        return "is no whole number" if asked["type"] == "int" else "is no number"
    return None if asked["low"] <= value <= asked["high"] else "lies outside"


def _checked(name: str, asked: Range, step: float | None) -> Range:
    low, high = asked["low"], asked["high"]
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{name} was suggested from {low} to {high}: the range is empty")
    if asked["log"] and (low <= 0 or step is not None):
        raise ValueError(f"{name} was suggested on a logarithmic scale, which must start above 0, at {low}, and takes no step")
    if step is not None and not step > 0:
        raise ValueError(f"{name} was suggested with the step {step}: it must be above 0")
    return asked if step is None else asked | {"step": step}

"""Numbers, parameters and sentences as people read them. Imports nothing slow, since every command imports this."""

import math
from collections.abc import Collection, Mapping
from typing import Any

NOTHING = "-"


def capitalized(text: str) -> str:
    """As a sentence begins; names in it keep their capitals."""
    return text[:1].upper() + text[1:]


def counted(n: int, one: str, more: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{n} {one if n == 1 else more}"


def with_article(name: str) -> str:
    """`a loss`, `an accuracy`."""
    return f"{'an' if name[:1].lower() in tuple('aeio') else 'a'} {name}"


def times(n: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def number(value: Any) -> str:
    """A number with four digits; a dash for none, and for one that is not finite; true and false as JSON and YAML write them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else NOTHING
    return NOTHING if value is None else str(value)


def short(value: float) -> str:
    """A number with three digits, for tables with many; a dash for one that is not finite."""
    return f"{value:.3g}" if math.isfinite(value) else NOTHING


def values(named: Mapping[str, Any]) -> str:
    """epochs=4 learning_rate=0.01"""
    return " ".join(f"{name}={number(value)}" for name, value in sorted(named.items()))


def chosen(params: Mapping[str, Any], searched: Collection[str], rate: str | None) -> dict[str, Any]:
    """The learning rate, and the parameters that the job searches: objectives may have dozens of others.

    rate: what the job calls the learning rate; None where it has none.
    """
    return {name: value for name, value in params.items() if name == rate or name in searched}


def value_in_trial(value: float | None, trial: int, params: Mapping[str, Any]) -> str:
    """0.0812 in trial 41: learning_rate=0.025"""
    return f"{number(value)} in trial {trial}: {values(params)}"

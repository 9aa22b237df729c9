"""Functions that take parameters as their own arguments: `def train(lr=0.1, epochs=20)`."""

import inspect
import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

RATES = ("learning_rate", "lr")
"""What the learning rate is called, unless it is named."""
DURATIONS = ("epochs", "steps")
"""What the number of steps is called."""
TRIAL = "trial"


def takes_parameters(function: Callable[..., Any]) -> bool:
    """Whether a function takes parameters by name, not a trial: one is the learning rate, or all have values of their own."""
    arguments = _arguments(function)
    if not arguments or TRIAL in arguments:
        return False
    return any(name in RATES for name in arguments) or all(each.default is not each.empty for each in arguments.values())


def space_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The values of a function's arguments, as far as they can be parameters. Raises TypeError for one that has no value."""
    space = {}
    for name, argument in _arguments(function).items():
        if argument.default is argument.empty and name not in RATES:
            raise TypeError(f"its argument {name} has no value: write {name}=..., which --param {name}=... can change")
        value = _value(argument)
        if _is_of_a_parameter(value):
            space[name] = value
        elif name in RATES:
            space[name] = 0.1
    return space


def left_alone(function: Callable[..., Any]) -> dict[str, str]:
    """The values, as Python writes them, of arguments that are no parameters: None, a tuple, an enum."""
    return {
        name: reprlib.repr(argument.default)
        for name, argument in _arguments(function).items()
        if name not in RATES and argument.default is not argument.empty and not _is_of_a_parameter(_value(argument))
    }


def call(function: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """What a function returns that is called with those of the parameters that it takes. Exit code 0 is an end like another."""
    taken = _arguments(function)
    try:
        return function(**{name: value for name, value in params.items() if name in taken})
    except SystemExit as exit:
        if exit.code not in (None, 0):
            raise
        return None


def _value(argument: inspect.Parameter) -> Any:
    return argument.default.item() if hasattr(argument.default, "item") else argument.default  # one of NumPy's


def _is_of_a_parameter(value: Any) -> bool:
    return type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def _arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(function).parameters
    except ValueError:  # written in C: it does not tell
        return {}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: each for name, each in found.items() if each.kind in by_name}

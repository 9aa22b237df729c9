"""The decorator that declares a training function, and what it notes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

DECLARED = "__stride__"
"""The attribute of a function that holds its declaration."""


@dataclass(frozen=True)
class Declaration:
    """What a training function says of itself."""

    space: Mapping[str, Any]
    metric: str
    direction: str
    steps: int | str | None
    name: str | None


def objective(
    *decorated: Any,
    space: Mapping[str, Any] | None = None,
    metric: str = "validation_loss",
    direction: str = "minimize",
    steps: int | str | None = None,
    name: str | None = None,
) -> Callable[[F], F]:
    """Declare a function that trains: `@stride.objective(space={...}) def train(trial): ...`. The function stays as it is.

    space: the default search space, in the form of the REST API: {"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0,
    "log": True}, "epochs": 20}; a bare value fixes a parameter. metric: the one of those that `trial.report` gets that counts.
    steps: how many steps a run reports, or the name of the parameter that says so; None: it is not known, and trials cannot be
    pruned. name: of the objective; by default that of the file.
    """
    if decorated or space is None:
        raise TypeError(
            'write @stride.objective(space={"learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True}})'
        )
    if not isinstance(space, Mapping) or not all(isinstance(key, str) for key in space):
        raise TypeError("space must be a dictionary from names to ranges and values")
    if direction not in ("minimize", "maximize"):
        raise ValueError(f'direction must be "minimize" or "maximize", not {direction!r}')
    if not isinstance(metric, str) or not metric:
        raise TypeError(f"metric must be a name, not {metric!r}")
    if isinstance(steps, bool) or not isinstance(steps, int | str | None) or (isinstance(steps, int) and steps < 1):
        raise TypeError(f"steps must be a number of steps, or the name of the parameter that says so, not {steps!r}")
    if isinstance(steps, str) and steps not in space:
        raise ValueError(f"steps names {steps!r}, which is not in the space: {', '.join(space)}")
    if name is not None and (not isinstance(name, str) or not name):
        raise TypeError(f"name must be text, not {name!r}")

    def declare(function: F) -> F:
        setattr(function, DECLARED, Declaration(dict(space), metric, direction, steps, name))
        return function

    return declare


def originals(space: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The values of parameters as a file's space writes them."""
    return {name: original(_choices(space.get(name)), value) for name, value in params.items()}


def _choices(dimension: Any) -> Any:
    return dimension.get("choices", ()) if isinstance(dimension, dict) else ()


def original(choices: Any, value: Any) -> Any:
    """Which of a parameter's choices a value stands for. Stride writes as text what JSON has no form for, such as None."""
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    for choice in choices:
        if isinstance(choice, int | float) and isinstance(value, int | float) and choice == value:
            return choice
    return next((choice for choice in choices if not isinstance(choice, str) and str(choice) == value), value)

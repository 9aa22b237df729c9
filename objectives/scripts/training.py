"""What a script process trains a file's model with. It is imported there alone, beside the file's own modules.

The names here are what `stride.script` and `stride.process` call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from objectives.contract import DataProblem
from objectives.scripts.model_entry import default_values
from objectives.training import functions
from objectives.training.supervised import SupervisedRun

__all__ = ["DataProblem", "Held", "read", "start", "try_out"]


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a file holds."""

    name: str
    """Of the objective."""
    functions: Mapping[str, Callable[..., Any]]
    """model and data, and loss and score where it has them."""
    search_space: Mapping[str, Any]
    settings: Mapping[str, Any]


def start(
    held: Held, params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int
) -> SupervisedRun:
    """Begin a run with all parameters and settings. Raises DataProblem, and what the functions raise."""
    return functions.start(functions.Functions(**held.functions), params, settings, seed, device, threads)


def read(held: Held) -> None:
    """Have the file's `data` read what it gives by default. Raises DataProblem, and what it raises."""
    _, settings = _defaults(held)
    functions.read(functions.Functions(**held.functions), settings)


def try_out(held: Held) -> dict[str, Any]:
    """Put one batch through the model; returns what that adds to the file's description.

    Raises DataProblem, and what the functions raise.
    """
    tried = functions.try_out(functions.Functions(**held.functions), *_defaults(held))
    return {"score": tried.score_name, "loss": tried.loss_name, "examples": tried.n_examples}


def _defaults(held: Held) -> tuple[dict[str, Any], dict[str, Any]]:
    return default_values(held.search_space, held.settings, held.name)

"""The parameters that count steps, for objectives whose steps are no epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from objectives.contract import Parameter


def in_steps(parameters: Sequence[Parameter], step_word: str, *, observed: str = "validation loss") -> tuple[Parameter, ...]:
    """The parameters, with names and descriptions that say what is counted: rise_epochs becomes rise_iterations.

    step_word: what a step is called, as `Objective.step_word`. observed: what every step is judged by, lower is better.
    """

    def worded(text: str) -> str:
        text = text.replace("epoch", step_word).replace("Epoch", step_word.capitalize())
        return text.replace("validation loss", observed)

    return tuple(
        replace(each, name=each.name.replace("epoch", _in_names(step_word)), description=worded(each.description))
        for each in parameters
    )


def in_epochs(values: Mapping[str, Any], step_word: str) -> dict[str, Any]:
    """Values by the names that they have where a step is an epoch: the training code knows these."""
    return {name.replace(_in_names(step_word), "epoch"): value for name, value in values.items()}


def _in_names(step_word: str) -> str:
    return step_word.replace("-", "_")

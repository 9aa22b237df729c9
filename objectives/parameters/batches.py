"""The batch size, and how the learning rate is scaled with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from objectives.contract import Bound, Parameter

BATCHES = (
    Parameter(
        name="batch_size",
        type="int",
        role="batch_size",
        default=32,
        space={"type": "categorical", "choices": [16, 32, 64, 128]},
        description="Examples per update.",
        low=1,
    ),
    Parameter(
        name="learning_rate_scaling",
        type="categorical",
        default="none",
        description="Multiply the learning rate by batch_size / reference_batch_size (linear: Goyal et al. 2017), or by its"
        " square root (sqrt: Krizhevsky 2014). If this increases the rate, a warm-up starts from the rate before scaling.",
        choices=("none", "linear", "sqrt"),
    ),
    Parameter(
        name="reference_batch_size",
        type="int",
        default=32,
        description="The batch size at which learning_rate is applied without scaling.",
        low=1,
        applies_when=({"learning_rate_scaling": ("linear", "sqrt")},),
    ),
)


EACH_PROCESS = Bound(end="low", given_by="processes", counts="processes, each of which takes a share of every batch")


def at_most(parameters: Sequence[Parameter], n_examples: int | Mapping[str, int]) -> tuple[Parameter, ...]:
    """The parameters, with a batch size that no training set is too small for.

    n_examples: of the training set, in its largest fold, where the size is known; a mapping: of each `dataset`.
    """
    if isinstance(n_examples, int):
        return tuple(replace(each, high=n_examples) if each.role == "batch_size" else each for each in parameters)
    of_data = Bound(end="high", given_by="dataset", by_value=n_examples, counts="examples of the training set")
    return bounded(parameters, of_data)


def bounded(parameters: Sequence[Parameter], *bounds: Bound) -> tuple[Parameter, ...]:
    """The parameters, with further bounds of the batch size."""
    return tuple(replace(each, bounds=(*each.bounds, *bounds)) if each.role == "batch_size" else each for each in parameters)


SETTINGS: Mapping[str, Any] = {
    "microbatch_size": {
        "type": ["integer", "null"],
        "minimum": 1,
        "default": None,
        "description": "Maximum examples computed at once: the gradients of larger batches are accumulated. null: all at once.",
    },
}

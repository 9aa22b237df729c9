"""The batch size, and how the learning rate is scaled with it."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import Parameter

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

SETTINGS: Mapping[str, Any] = {
    "microbatch_size": {
        "type": ["integer", "null"],
        "minimum": 1,
        "default": None,
        "description": "Maximum examples computed at once: the gradients of larger batches are accumulated. null: all at once.",
    },
}

"""The metrics that a job takes which declares its own: these, and what the diagnosis of curves reads."""

from collections.abc import Collection

TRAINING_LOSS = "training_loss"
ALSO_TAKEN = (TRAINING_LOSS, "validation_loss", "gradient_norm")
OF_A_GROUP = "learning_rate/"
"""Begins the name of the rate of a group of weights, which loops note."""


def is_taken(name: str, declared: Collection[str]) -> bool:
    """Whether a job with these declared metrics takes one of this name."""
    return name in declared or name in ALSO_TAKEN or name.startswith(OF_A_GROUP)

"""The length of a run."""

from objectives.contract import Parameter

EPOCHS = Parameter(
    name="epochs",
    type="int",
    role="duration",
    default=10,
    space={"type": "int", "low": 2, "high": 20},
    description="Passes over the training set.",
    low=1,
    high=2**31 - 1,  # steps beyond it cannot be stored
)

EARLY_STOPPING = (
    Parameter(
        name="early_stopping_patience",
        type="int",
        default=0,
        description="Stop after this many epochs without a new lowest validation loss, and restore the best weights; 0: never.",
        low=0,
    ),
)

"""How long a run goes on."""

from objectives.contract import Parameter

EPOCHS = Parameter(
    name="epochs",
    type="int",
    role="duration",
    default=10,
    space={"type": "int", "low": 2, "high": 20},
    description="Passes over the training set.",
    low=1,
)

EARLY_STOPPING = (
    Parameter(
        name="early_stopping_patience",
        type="int",
        default=0,
        description="End after so many epochs without a new lowest validation loss, with the weights that had it; 0: never.",
        low=0,
    ),
)

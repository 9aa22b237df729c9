"""The loss function."""

from objectives.contract import Parameter

LABEL_SMOOTHING = Parameter(
    name="label_smoothing",
    type="float",
    defines_measure=("training_loss",),
    default=0.0,
    description="Fraction of the target that is spread evenly over all classes (Szegedy et al. 2016), in training only.",
    low=0.0,
    high=1.0,
    high_open=True,
    applies_when=({"loss": ("cross-entropy",)},),
)

CLASSIFICATION_LOSS = (
    Parameter(
        name="loss",
        type="categorical",
        defines_measure=("validation_loss", "training_loss"),
        default="cross-entropy",
        description="The loss that is minimized; binary-cross-entropy and mse treat each class as a separate yes-or-no target.",
        choices=("cross-entropy", "binary-cross-entropy", "mse"),
    ),
    LABEL_SMOOTHING,
)

REGRESSION_LOSS = (
    Parameter(
        name="loss",
        type="categorical",
        defines_measure=("validation_loss", "training_loss"),
        default="mse",
        description="The loss that is minimized, on targets in units of their standard deviation.",
        choices=("mse", "mae", "huber"),
    ),
    Parameter(
        name="huber_delta",
        type="float",
        defines_measure=("validation_loss", "training_loss"),
        default=1.0,
        description="Absolute error up to which the Huber loss is quadratic; above it, the loss is linear.",
        low=0.0,
        low_open=True,
        applies_when=({"loss": ("huber",)},),
    ),
)

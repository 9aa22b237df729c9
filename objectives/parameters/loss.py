"""What is minimized."""

from objectives.contract import Parameter

CLASSIFICATION_LOSS = (
    Parameter(
        name="loss",
        type="categorical",
        defines_measure=("validation_loss", "training_loss"),
        default="cross-entropy",
        description="What is minimized; binary-cross-entropy and mse ask of each class by itself whether it is the one.",
        choices=("cross-entropy", "binary-cross-entropy", "mse"),
    ),
    Parameter(
        name="label_smoothing",
        type="float",
        defines_measure=("training_loss",),
        default=0.0,
        description="Part of the target that is spread over all classes (Szegedy et al. 2016); in training only.",
        low=0.0,
        high=1.0,
        high_open=True,
        applies_when=({"loss": ("cross-entropy",)},),
    ),
)

REGRESSION_LOSS = (
    Parameter(
        name="loss",
        type="categorical",
        defines_measure=("validation_loss", "training_loss"),
        default="mse",
        description="What is minimized, on targets in units of their standard deviation.",
        choices=("mse", "mae", "huber"),
    ),
    Parameter(
        name="huber_delta",
        type="float",
        defines_measure=("validation_loss", "training_loss"),
        default=1.0,
        description="Errors up to which Huber's loss is quadratic; beyond, it is linear.",
        low=0.0,
        low_open=True,
        applies_when=({"loss": ("huber",)},),
    ),
)

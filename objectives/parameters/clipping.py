"""Gradient clipping."""

from objectives.contract import Parameter

CLIPPING = (
    Parameter(
        name="clip_norm",
        type="float",
        role="clip_norm",
        default=0.0,
        description="Maximum norm of the whole gradient, to which larger ones are scaled (Pascanu et al. 2013); 0: no limit.",
        low=0.0,
    ),
    Parameter(
        name="clip_value",
        type="float",
        default=0.0,
        description="Maximum absolute value of each element of the gradient; 0: no limit.",
        low=0.0,
    ),
)

"""How large a gradient may be."""

from objectives.contract import Parameter

CLIPPING = (
    Parameter(
        name="clip_norm",
        type="float",
        default=0.0,
        description="Largest norm of the whole gradient, to which larger ones are scaled (Pascanu et al. 2013); 0: none.",
        low=0.0,
    ),
    Parameter(
        name="clip_value",
        type="float",
        default=0.0,
        description="Largest absolute value of a gradient's element; 0: none.",
        low=0.0,
    ),
)

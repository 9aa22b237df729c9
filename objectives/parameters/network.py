"""How a network begins, and what stands between its layers."""

from objectives.contract import Parameter

NETWORK = (
    Parameter(
        name="initialization",
        type="categorical",
        default="he-normal",
        description="How weights start: Xavier (Glorot and Bengio 2010), He et al. 2015, orthogonal (Saxe et al. 2014), each with"
        " the gain of the activation; default: as PyTorch builds the layers.",
        choices=("default", "xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "orthogonal"),
    ),
    Parameter(
        name="zero_output",
        type="categorical",
        default=True,
        description="Start the output layer at zero: the first loss is that of guessing.",
        choices=(False, True),
        applies_when=({"initialization": ("xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "orthogonal")},),
    ),
    Parameter(
        name="activation",
        type="categorical",
        default="relu",
        description="What follows each hidden layer.",
        choices=("relu", "leaky-relu", "gelu", "tanh", "sigmoid"),
    ),
    Parameter(
        name="normalization",
        type="categorical",
        default="usual",
        description="Before the activation of a hidden layer: batch norm, layer norm or none; usual: batch in resnet, else none.",
        choices=("usual", "none", "batch", "layer"),
    ),
    Parameter(
        name="dropout",
        type="float",
        default=0.0,
        description="Part of the hidden layers' outputs that training sets to zero.",
        low=0.0,
        high=1.0,
        high_open=True,
    ),
)

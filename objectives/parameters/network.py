"""Initialization of a network, and the modules between its layers."""

from objectives.contract import Parameter

NETWORK = (
    Parameter(
        name="initialization",
        type="categorical",
        default="he-normal",
        description="Initial weights: Xavier (Glorot and Bengio 2010), He (He et al. 2015) or orthogonal (Saxe et al. 2014), each"
        " with the gain of the activation; default: PyTorch's default initialization.",
        choices=("default", "xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "orthogonal"),
    ),
    Parameter(
        name="zero_output",
        type="categorical",
        default=True,
        description="Initialize the output layer with zeros, so that the network first predicts the same for every example.",
        choices=(False, True),
        applies_when=({"initialization": ("xavier-uniform", "xavier-normal", "he-uniform", "he-normal", "orthogonal")},),
    ),
    Parameter(
        name="activation",
        type="categorical",
        default="relu",
        description="Activation function of the hidden layers.",
        choices=("relu", "leaky-relu", "gelu", "tanh", "sigmoid"),
    ),
    Parameter(
        name="normalization",
        type="categorical",
        role="normalization",
        default="usual",
        description="Before each hidden layer's activation: batch norm, layer norm or none; usual: batch in resnet, else none.",
        choices=("usual", "none", "batch", "layer"),
    ),
    Parameter(
        name="dropout",
        type="float",
        role="dropout",
        default=0.0,
        description="Probability that an output of a hidden layer is set to zero in training.",
        low=0.0,
        high=1.0,
        high_open=True,
    ),
)

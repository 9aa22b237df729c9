"""What the catalog entry of a user's own model holds: the parameters of training that any network can have."""

from dataclasses import replace

from objectives.entries.supervised import EVERYWHERE

OF_THE_NETWORK = ("activation", "normalization", "dropout", "zero_output")
"""Parameters that our own networks are built with."""

INITIALIZATION = (
    "Initial weights of linear, convolutional, recurrent and attention layers: Xavier (Glorot and Bengio 2010), He (He et al."
    " 2015) or orthogonal (Saxe et al. 2014), each with the gain of the model's first activation; default: as the model's code"
    " leaves them."
)

OWN_MODEL = tuple(
    replace(parameter, default="default", description=INITIALIZATION)
    if parameter.name == "initialization"
    else replace(parameter, bounds=())  # a run of it has one process
    for parameter in EVERYWHERE
    if parameter.name not in OF_THE_NETWORK
)
"""The parameters of every supervised objective that do not depend on the network."""

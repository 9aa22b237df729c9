"""The parameters that the catalog entries of objectives on sequences share."""

from dataclasses import replace

from objectives.entries.supervised import EVERYWHERE

SEQUENCES = tuple(
    replace(parameter, applies_when=({"model": ("transformer",)},)) if parameter.name == "activation" else parameter
    for parameter in EVERYWHERE
    if parameter.name != "normalization"
)
"""Of the models, only the Transformer has an activation to choose; none has a normalization to choose."""

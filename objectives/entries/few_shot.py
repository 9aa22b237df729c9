"""Parameters and settings that the catalog entries of few-shot objectives share."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from objectives.contract import DEFINES_MEASURE
from objectives.entries.supervised import EVERYWHERE, MLP
from objectives.parameters.adaptation import ADAPTATION, ALGORITHM

_LEFT_OUT = ("normalization", "dropout")
"""The network has neither."""
_OF_EPISODES: Mapping[str, Mapping[str, Any]] = {
    "batch_size": {
        "description": "Episodes per update.",
        "space": {"type": "categorical", "choices": [4, 8, 16, 32]},
    },
    "epochs": {"description": "Passes over the training episodes."},
}

FEW_SHOT = (
    *(replace(each, **_OF_EPISODES.get(each.name, {})) for each in EVERYWHERE if each.name not in _LEFT_OUT),
    *ADAPTATION,
)
"""The parameters of every few-shot objective."""


def few_shot_settings(shots: str, *, most_shots: int, width: int) -> Mapping[str, Any]:
    """The settings of an episode and of the network. shots: what one is."""
    return {
        "shots": {
            "type": "integer",
            "minimum": 1,
            "maximum": most_shots,
            "default": 10,
            "description": f"{shots} that the network adapts to in an episode.",
            DEFINES_MEASURE: True,
        },
        **ALGORITHM,
        **MLP,
        "width": {**MLP["width"], "default": width},
    }

"""Which data a run uses, and which part of them is the test set."""

from collections.abc import Mapping, Sequence
from typing import Any

from objectives.contract import APPLIES_WHEN, DEFINES_MEASURE, ROLE

FOLD: Mapping[str, Any] = {
    "fold": {
        "type": "integer",
        "minimum": 0,
        "maximum": 4,
        "default": 0,
        "description": "Which fifth of the data is the test set; the validation set is split off the rest.",
        DEFINES_MEASURE: True,
    },
}


def path(files: Sequence[str]) -> dict[str, Any]:
    """The setting `path` of local data sets. files: the data sets that are read from local files."""
    return {
        "path": {
            "type": ["string", "null"],
            "default": None,
            "description": "File or folder of a data set that is read from local files, below a folder that the workers allow. A"
            " trial's log tells what was read, and what was left out.",
            APPLIES_WHEN: [{"dataset": list(files)}],
            DEFINES_MEASURE: True,
            ROLE: "data_path",
        }
    }

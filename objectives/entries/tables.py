"""Settings that the catalog entries of tabular objectives share."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import APPLIES_WHEN, DEFINES_MEASURE

TABLE_FILES = ("csv", "parquet")
"""The data sets that are read from local files."""

TARGET: Mapping[str, Any] = {
    "target": {
        "type": ["string", "null"],
        "default": None,
        "description": "Target column of a local file; null: the last one that is no index of pandas.",
        APPLIES_WHEN: [{"dataset": list(TABLE_FILES)}],
        DEFINES_MEASURE: True,
    },
}

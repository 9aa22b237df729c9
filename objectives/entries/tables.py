"""What the entries of objectives that learn from tables share."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import APPLIES_WHEN, DEFINES_MEASURE

TABLE_FILES = ("csv", "parquet")
"""The data sets that are read from local files."""

TARGET: Mapping[str, Any] = {
    "target": {
        "type": ["string", "null"],
        "default": None,
        "description": "Column of a local file to be learned; null: the last one.",
        APPLIES_WHEN: [{"dataset": list(TABLE_FILES)}],
        DEFINES_MEASURE: True,
    },
}

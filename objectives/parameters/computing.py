"""How a run computes: precision and threads. Neither changes what is learned."""

from collections.abc import Mapping
from typing import Any

from objectives.contract import ROLE

SETTINGS: Mapping[str, Any] = {
    "precision": {
        "type": "string",
        "enum": ["float32", "bfloat16"],
        "default": "float32",
        "description": "bfloat16: mixed precision, with weights in float32.",
    },
    "threads": {
        "type": "integer",
        "minimum": 1,
        "maximum": 256,
        "default": 1,
        "description": "Number of CPU threads of the run.",
        ROLE: "threads",
    },
}

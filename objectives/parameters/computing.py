"""How a run computes: precision, threads and processes. None of them changes what is learned."""

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

PROCESSES: Mapping[str, Any] = {
    "processes": {
        "type": "integer",
        "minimum": 1,
        "maximum": 64,
        "default": 1,
        "description": "Number of processes that train a run together, each on its share of every batch: at most as many as there"
        " are GPUs, or CPUs for the threads of all: each has its own.",
    },
    "rank_timeout_s": {
        "type": "number",
        "minimum": 1,
        "maximum": 86_400,
        "default": 60,
        "description": "How long, in seconds, a process of a run may neither compute nor exchange anything while others wait"
        " for it, before the attempt ends.",
    },
}
"""Data-parallel training, which users' own models do not have: their files are loaded in another process."""

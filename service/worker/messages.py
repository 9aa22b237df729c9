"""What a worker and its trainer process say to each other over their pipe. Plain values: both ends pickle them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from objectives.contract import Divergence

END_OF_LOG = b"\0end of the run\0\n"
"""Printed by the trainer when a run has ended: what came before belongs to that run."""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Worker to trainer: run this."""

    objective: str
    params: Mapping[str, Any]
    settings: Mapping[str, Any]
    seed: int
    device: str
    threads: int
    parts: int | None
    """Wait for an order wherever such a part of the schedule ends: the pruner is asked there. None: there is no pruner."""


class Order(Enum):
    """Worker to trainer, between two items."""

    GO_ON = auto()
    HOLD = auto()
    """Ask the run for no further item until told to go on."""
    STOP = auto()


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Trainer to worker: one step is done."""

    step: int
    fraction: float
    in_warmup: bool
    metrics: Mapping[str, float]
    learning_rate: float
    seconds: float
    divergence: Divergence | None
    waits: bool
    """Whether the trainer now waits for an order."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Trainer to worker: the run went through."""

    test_metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Raised:
    """Trainer to worker: the objective raised."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Trainer to worker: stopped as ordered, ready for the next run."""


FromTrainer = Measured | Trained | Raised | Stopped

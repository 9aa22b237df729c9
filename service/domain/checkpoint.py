"""A checkpoint: what a trial's next attempt goes on from, or the weights of a job's best trial."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a checkpoint is for."""

    STATE = "state"
    """All that a run needs to go on, between two of its steps."""
    MODEL = "model"
    """The weights of a trial that trained through, as safetensors."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a checkpoint lies, and how to know that it is whole. Exactly one of content and path is set."""

    kind: Kind
    step: int
    """The last step that is in it."""
    size: int
    """Bytes."""
    sha256: bytes
    content: bytes | None
    path: str | None
    """Relative to the folder of the checkpoints."""

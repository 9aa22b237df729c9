"""A checkpoint: the state from which a trial's next attempt continues, or the weights of a job's best trial."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a checkpoint is for."""

    STATE = "state"
    """The full state of a run between two steps: all that it needs to continue."""
    MODEL = "model"
    """The weights of a trial that trained to the end, as safetensors."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where a checkpoint is stored, with size and hash to verify it. Exactly one of content and path is set."""

    kind: Kind
    step: int
    """The last step that it includes."""
    size: int
    """In bytes."""
    sha256: bytes
    content: bytes | None
    path: str | None
    """Relative to the checkpoint folder."""

"""What a sampler or a pruner may know of a study."""

from dataclasses import dataclass
from typing import Any

from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial


@dataclass(frozen=True, kw_only=True)
class StudySnapshot:
    """A study at one moment."""

    trials: list[FrozenTrial]
    """By number; never changed after it was handed out. A later phase does not see all of the study's."""
    attrs: dict[str, Any]
    """Study system attributes."""
    space: IntersectionSearchSpace | None = None
    """What TPE knows of the space that the finished trials share, where that may be kept from ask to ask."""
    next_number: int = 0
    """The number that a trial created at that moment would have had: for whoever asks a sampler."""


EMPTY = StudySnapshot(trials=[], attrs={})

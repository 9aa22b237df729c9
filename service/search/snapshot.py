"""A study at one moment, as samplers and pruners read it."""

from dataclasses import dataclass
from typing import Any

from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial


@dataclass(frozen=True, kw_only=True)
class StudySnapshot:
    """A study at one moment."""

    trials: list[FrozenTrial]
    """Ordered by number, and never changed after the snapshot is made. A later phase does not see all trials of the study."""
    attrs: dict[str, Any]
    """The study's system attributes."""
    space: IntersectionSearchSpace | None = None
    """TPE's intersection search space of the finished trials, where it may be kept from one trial to the next."""
    next_number: int = 0
    """The number that a trial created at that moment would get."""


EMPTY = StudySnapshot(trials=[], attrs={})

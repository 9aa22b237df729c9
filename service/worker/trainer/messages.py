"""What a worker and its trainer process say to each other over their pipe. Plain values: both ends pickle them.

Each message travels with the id of the run that it is for or of; what comes late, of a run that has ended, is dropped by either
end. A question between two runs has an id of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from service.domain.checkpoint import Checkpoint
from service.domain.measurement import Measurement

END_OF_LOG = b"\0end of the run\0\n"
"""Printed by the trainer when a run has ended: what came before belongs to that run."""


@dataclass(frozen=True, kw_only=True)
class CheckpointPlace:
    """Where a run's checkpoints go."""

    folder: str | None
    """None: to the worker, who stores them in the database."""
    name: str
    """How the paths of their files begin, below the folder."""
    max_bytes: int
    """The largest that goes to the worker."""


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Where a run goes on from."""

    checkpoint: Checkpoint
    before: float
    """The part of its schedule at which the last step outside warm-up ended: from there the pruner's next step counts."""


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
    """Wait for a command wherever such a part of the schedule ends: the pruner is asked there. None: there is no pruner."""
    hold_at: float
    """When the lease runs out unless it is renewed, by the monotonic clock, which all processes of a machine share."""
    checkpoint_s: float
    place: CheckpointPlace
    resume: Resume | None


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """Worker to trainer: the lease stands until then. Past that time the run is asked for no further item."""

    hold_at: float


class Command(Enum):
    """Worker to trainer, between two items."""

    GO_ON = auto()
    """The pruner lets it."""
    SUSPEND = auto()
    """Take a checkpoint, and stop."""
    STOP = auto()


@dataclass(frozen=True, kw_only=True)
class SaveModel:
    """Worker to trainer: save the weights of the run that has just gone through."""

    step: int
    """Whose weights they are."""
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CheckFitness:
    """Worker to trainer: can this objective be trained here at all?"""

    objective: str
    device: str
    folder: str | None
    """Of the checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Trainer to worker: one step is done."""

    measurement: Measurement
    waits: bool
    """Whether the trainer now waits for a command."""


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """Trainer to worker: the run goes on from the checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """Trainer to worker: the checkpoint cannot be gone on from. Nothing was trained."""

    reason: str
    damaged: bool
    """Whether nobody can use it any more. Else it may be this worker that cannot: it lacks the folder, or memory."""


@dataclass(frozen=True, kw_only=True)
class Checkpointed:
    """Trainer to worker: a checkpoint was taken; once its row is committed it exists."""

    checkpoint: Checkpoint


@dataclass(frozen=True, kw_only=True)
class NotCheckpointed:
    """Trainer to worker: a checkpoint could not be taken. Training goes on."""

    step: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class NoModel:
    """Trainer to worker: the objective's state has no weights in it."""


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """Trainer to worker: whether the objective can be trained here."""

    problem: str | None
    """Why not."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Trainer to worker: the run went through."""

    test_metrics: Mapping[str, float]
    guessing: Mapping[str, float] = field(default_factory=dict)
    """What metrics come to when every example is answered alike, as far as the objective declares it."""


@dataclass(frozen=True, kw_only=True)
class Raised:
    """Trainer to worker: the objective raised."""

    type: str
    message: str
    traceback: str


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Trainer to worker: stopped as told, ready for the next run."""


ToTrainer = Train | Renewed | Command | SaveModel | CheckFitness
RunEnded = Trained | Raised | Stopped | Unusable
FromTrainer = Measured | Resumed | Checkpointed | NotCheckpointed | NoModel | Fitness | RunEnded

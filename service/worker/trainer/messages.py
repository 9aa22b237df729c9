"""The messages between a worker and its trainer process. Plain values: both ends pickle them.

Each message carries the id of its run; late messages of a run that has ended are dropped at both ends. A question between two
runs has an id of its own.
"""

from collections.abc import Mapping, Sequence
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
    """None: they are sent to the worker, which stores them in the database."""
    name: str
    """Prefix of their files' paths, relative to the folder."""
    max_bytes: int
    """The largest checkpoint that is sent to the worker."""


@dataclass(frozen=True, kw_only=True)
class Resume:
    """What a run resumes from."""

    checkpoint: Checkpoint
    before: float
    """The fraction of its schedule at which the last step outside warm-up ended: the next pruning step is found from it."""


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
    """Into how many equal parts the schedule is cut: at the end of each the trainer waits for a command, as the pruner is asked.
    None: there is no pruner."""
    hold_at: float
    """When the lease expires unless it is renewed, by the monotonic clock, which all processes of a machine share."""
    checkpoint_s: float
    place: CheckpointPlace
    resume: Resume | None
    number: int = 0
    """Of the trial, in its job."""
    notes: Sequence[str] = ()
    """What the trial's log begins with."""


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """Worker to trainer: the lease was renewed. After `hold_at` the run is asked for no further item."""

    hold_at: float


class Command(Enum):
    """Worker to trainer, between two items."""

    GO_ON = auto()
    """The pruner does not end the trial."""
    SUSPEND = auto()
    """Take a checkpoint, and stop."""
    STOP = auto()


@dataclass(frozen=True, kw_only=True)
class SaveModel:
    """Worker to trainer: save the weights of the run that has just trained to its end."""

    step: int
    """The step whose weights they are."""
    metadata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CheckFitness:
    """Worker to trainer: can this objective be trained here at all?"""

    objective: str
    device: str
    folder: str | None
    """Where checkpoints go; None: to the database."""


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
    """Trainer to worker: the run cannot resume from the checkpoint. Nothing was measured."""

    reason: str
    damaged: bool
    """Whether it is lost to every worker. If not, only this worker may be unable to use it: it lacks the folder, or memory."""


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
    """Why not; None when it can."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Trainer to worker: the run trained to its end."""

    test_metrics: Mapping[str, float]
    guessing: Mapping[str, float] = field(default_factory=dict)
    """The metrics of a constant prediction, as far as the objective declares them."""
    value: float | None = None
    """None: the job's metric at the last step, or at the one whose weights the run kept."""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    """What else is stored with the trial, as JSON has it."""
    pruned: str | None = None
    """Why the run has ended itself early; None: it has not."""


@dataclass(frozen=True, kw_only=True)
class Raised:
    """Trainer to worker: the objective raised."""

    type: str
    message: str
    traceback: str | None
    for_every_trial: bool = False
    """Whether the job's other trials would raise it as well."""


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Trainer to worker: the process in which a script trained has ended. As if the trainer had: the trial is attempted again."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Trainer to worker: stopped on command, ready for the next run."""

    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    """As of Trained; of a run that is suspended, none."""


ToTrainer = Train | Renewed | Command | SaveModel | CheckFitness
RunEnded = Trained | Raised | Lost | Stopped | Unusable
FromTrainer = Measured | Resumed | Checkpointed | NotCheckpointed | NoModel | Fitness | RunEnded

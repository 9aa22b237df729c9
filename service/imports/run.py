"""A run of a foreign log, whatever it was read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from service.domain.space import Scalar

DIAGNOSED = ("training_loss", "validation_loss", "gradient_norm")
"""What the diagnosis of a curve reads beside the metric; read from a log that has them."""

Ending = Literal["completed", "diverged", "pruned", "failed"]
Missing = Literal["diverged", "failed"]
"""What a run without a value of the metric is."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The metrics of one step, by name; nan and infinities are what a run that diverged has."""

    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run."""

    where: str
    """Where it stands: file and row, or study and trial."""
    params: Mapping[str, Scalar]
    steps: Sequence[Measured] = ()
    """Ascending; cut after the first value that is not finite and is followed by no finite one."""
    value: float | None = None
    """The run's value, where that is not the metric's last."""
    ending: Ending = "completed"
    reason: str | None = None
    """Why it diverged, was pruned or failed, in words."""
    seed: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """What else is said of it."""

    @property
    def last_step(self) -> int:
        """0: nothing was measured."""
        return self.steps[-1].step if self.steps else 0


@dataclass(frozen=True, kw_only=True)
class Log:
    """The runs of one log, and what is to be known of how they were read."""

    source: str
    """From where: the name of a file, or a study and its storage."""
    runs: Sequence[Run]
    learning_rate: str
    """The name of the parameter."""
    metric: str
    direction: Literal["minimize", "maximize"]
    space: Mapping[str, Mapping[str, Any] | Scalar] = field(default_factory=dict)
    """The ranges that are known, in the form of the REST API's `search_space`; others follow from what was tried."""
    notes: Sequence[str] = ()
    """Sentences for whoever imports it: how runs were told apart, and what was left out."""

    @property
    def states_seeds(self) -> bool:
        """Whether every run states its training seed."""
        return all(run.seed is not None for run in self.runs)

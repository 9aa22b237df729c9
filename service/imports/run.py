"""A run of a foreign log, whatever it was read from."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from service.domain.space import Scalar

DIAGNOSED = ("training_loss", "validation_loss", "gradient_norm")
"""What the diagnosis of a curve reads beside the metric; read from a log that has them."""

Ending = Literal["completed", "diverged", "pruned", "failed"]
Missing = Literal["diverged", "failed"]
"""What a run without a value of the metric is."""
Shorter = Literal["completed", "pruned", "failed"]
"""What a run with fewer steps than the longest is, where nothing says that it was to have fewer."""


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
    """Ascending; up to where it diverged."""
    has_steps: bool = True
    """False: after how many steps its one value was measured is not known."""
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

    def final(self, metric: str) -> float:
        """The run's value; nan: it has none."""
        if self.value is not None:
            return self.value
        return self.steps[-1].metrics[metric] if self.steps else math.nan


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


def shows_steps(run: Run, metric: str) -> bool:
    """Whether a run shows after how many steps one is complete."""
    return run.has_steps and run.ending == "completed" and math.isfinite(run.final(metric))


def steps_told(runs: Sequence[Run], metric: str) -> int | str | None:
    """How many steps whole runs have, or the parameter that says so; None where the completed ones do not show it."""
    ended = [run for run in runs if shows_steps(run, metric)]
    lasts = {run.last_step for run in ended}
    if len(lasts) == 1:
        return lasts.pop()
    told: defaultdict[str, int] = defaultdict(int)
    for run in ended:
        for name, value in run.params.items():
            told[name] += type(value) is int and value == run.last_step
    return next((name for name, n in told.items() if n == len(ended)), None)

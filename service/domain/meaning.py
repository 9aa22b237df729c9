"""What a job's parameters and settings mean, as its objective declared it at submission: code asks for this, never for a name."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

Scale = Literal["linear", "log", "decay"]
"""On which equal distances count alike; decay: that of log(1 - value)."""


class Role(StrEnum):
    """What a parameter is to training."""

    LEARNING_RATE = "learning_rate"
    BATCH_SIZE = "batch_size"
    DURATION = "duration"
    """The number of steps that a run is asked for."""
    MOMENTUM = "momentum"
    OPTIMIZER = "optimizer"
    SEED = "seed"


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RateShift(_Value):
    """How the best learning rate goes with a parameter, as known before any trial: with a power of it, which is normal."""

    power: float
    """Decades of the best rate by decade of the parameter; on a decay scale, of 1 / (1 - value)."""
    sd: float


class ParameterMeaning(_Value):
    """What is known of one parameter."""

    role: Role | None = None
    scale: Scale = "linear"
    """A range that the job searches on a logarithmic scale counts so in any case."""
    rate_shift: RateShift | None = None


NOTHING_KNOWN = ParameterMeaning()


class Meaning(_Value):
    """Stored with the job, so that it is read alike whether or not its objective can still be found."""

    step_word: str
    """What a step is called, for people."""
    parameters: dict[str, ParameterMeaning] = Field(default_factory=dict)
    """Those of which anything is known."""
    measure: tuple[str, ...] = ()
    """Parameters and settings that define what every metric measures: jobs that differ there are not compared."""
    measured_with: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By metric, those that define what it alone measures."""
    threads: str | None = None
    """The setting that says with how many CPU threads a run computes."""

    @property
    def steps_are_epochs(self) -> bool:
        """Whether a step is a pass over the training set."""
        return self.step_word == "epoch"

    def of(self, name: str) -> ParameterMeaning:
        """What is known of a parameter."""
        return self.parameters.get(name, NOTHING_KNOWN)

    def named(self, role: Role) -> str | None:
        """What the objective calls the parameter with this role; None where it has none."""
        return self.roles.get(role)

    def value(self, role: Role, of: Mapping[str, T]) -> T | None:
        """What a point, or a search space, has for the parameter with this role; None where there is none."""
        name = self.named(role)
        return None if name is None else of.get(name)

    @cached_property
    def roles(self) -> dict[Role, str]:
        """The parameter with each role that the objective has."""
        return {known.role: name for name, known in self.parameters.items() if known.role is not None}

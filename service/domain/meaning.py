"""What a job's parameters and settings mean, as its objective declared it at submission. Code asks for this, never for a name."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")

Scale = Literal["linear", "log", "decay"]
"""The scale on which distances between values of a parameter are measured; decay: log(1 - value)."""


class Role(StrEnum):
    """What a parameter is to training."""

    LEARNING_RATE = "learning_rate"
    BATCH_SIZE = "batch_size"
    DURATION = "duration"
    """The number of steps of a run."""
    MOMENTUM = "momentum"
    OPTIMIZER = "optimizer"
    SEED = "seed"
    SCHEDULE = "schedule"
    """How the rate changes over a run; advice names the usual ones, such as cosine."""
    WARMUP = "warmup"
    """The fraction of the run in which the rate rises; 0: none."""
    WEIGHT_DECAY = "weight_decay"
    DROPOUT = "dropout"
    """The probability that an output of a hidden layer is set to zero in training."""
    NORMALIZATION = "normalization"
    """What normalizes the inputs of layers; advice names batch and layer."""
    CLIP_NORM = "clip_norm"
    """The norm to which larger gradients are scaled; 0: no limit."""


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RateShift(_Value):
    """The prior of how the best learning rate depends on a parameter: as a power of it, with a normal prior on the exponent."""

    power: float
    """Prior mean: decades of the best rate per decade of the parameter; on a decay scale, per decade of 1 / (1 - value)."""
    sd: float
    """Prior standard deviation of the power."""


class ParameterMeaning(_Value):
    """What is known about one parameter."""

    role: Role | None = None
    scale: Scale = "linear"
    """A range that the job searches on a logarithmic scale is logarithmic whatever this says."""
    rate_shift: RateShift | None = None


NOTHING_KNOWN = ParameterMeaning()


class Meaning(_Value):
    """What an objective declared about its parameters and settings, stored with the job: reading it needs no objective."""

    step_word: str
    """The word for a step in texts, such as "epoch"."""
    parameters: dict[str, ParameterMeaning] = Field(default_factory=dict)
    """The parameters about which anything is known."""
    measure: tuple[str, ...] = ()
    """Parameters and settings that define what every metric measures. Jobs that differ in them are not compared."""
    measured_with: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """By metric: the parameters and settings that define what this metric measures, but not the others."""
    threads: str | None = None
    """The setting that holds the number of CPU threads of a run."""

    @property
    def steps_are_epochs(self) -> bool:
        """Whether a step is a pass over the training set."""
        return self.step_word == "epoch"

    def of(self, name: str) -> ParameterMeaning:
        """What is known about a parameter."""
        return self.parameters.get(name, NOTHING_KNOWN)

    def named(self, role: Role) -> str | None:
        """The name of the parameter with this role; None where the objective has no such parameter."""
        return self.roles.get(role)

    def value(self, role: Role, of: Mapping[str, T]) -> T | None:
        """The entry of a point or a search space for the parameter with this role; None where there is none."""
        name = self.named(role)
        return None if name is None else of.get(name)

    @cached_property
    def roles(self) -> dict[Role, str]:
        """The parameter names by role."""
        return {known.role: name for name, known in self.parameters.items() if known.role is not None}

"""What an objective promises: the words shared by objectives, workers and the API. No torch here.

An objective is a module with `start(params, settings, seed, device, threads) -> Run`. A `Run` is an iterator with state:
iterating it trains, and yields one `Measurement` per step (an epoch, or a stated number of updates). Whoever iterates stops
it by not asking for the next item.

A run may have an attribute `guessing`, a mapping from metrics to what they come to when every example is answered alike, in the
metric's units: a loss that ends far above it has exploded, though it is a number.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Direction = Literal["minimize", "maximize"]
Scalar = bool | int | float | str
Conditions = Sequence[Mapping[str, Sequence[Scalar]]]
Role = Literal["learning_rate", "batch_size", "duration", "momentum", "optimizer", "seed"]
"""What a parameter is to training, whatever its name: duration is the number of steps that a run is asked for."""
Scale = Literal["linear", "log", "decay"]
"""On which equal distances count alike. decay: that of log(1 - value), for the part of an average that is kept from update to
update, since 1 / (1 - value) is how many updates it averages over."""

APPLIES_WHEN = "x-applies-when"
"""In the JSON Schema of a setting, what `Parameter.applies_when` is for a parameter."""
DEFINES_MEASURE = "x-defines-measure"
"""In the JSON Schema of a setting, what `Parameter.defines_measure` is for a parameter: the data set, say, or its fold."""
ROLE = "x-role"
"""In the JSON Schema of a setting, its role: "threads", where it says with how many CPU threads a run computes."""


class DataProblem(ValueError):
    """The settings or the data cannot be trained on; the message names the setting, file or row."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Evidence that a run has diverged: divergence is a result, not an error."""

    reason: str
    """One sentence with the numbers: "training loss became nan at update 12 of epoch 2"."""
    update: int
    """Optimizer updates made when it was seen, counted from the start of the run."""
    fraction: float
    """The part of the run's own schedule that was done when it was seen, in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class GroupRate:
    """What the optimizer really used for one group of parameters, in a step's last update."""

    group: str
    """The group's name; a model trained at one rate has one group, "all"."""
    learning_rate: float
    momentum: float | None
    """Its momentum, or Adam's first beta; None for optimizers that have none."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One step of a run."""

    step: int
    """Steps done, from 1."""
    fraction: float
    """The part of the run's own schedule that is done, in (0, 1]."""
    in_warmup: bool
    """Whether this step ended inside the learning-rate warm-up."""
    metrics: Mapping[str, float]
    """By name, e.g. training_loss, validation_loss, validation_accuracy, gradient_norm. May hold nan or inf once diverged."""
    learning_rate: float
    """The rate that the optimizer applied in the step's last update."""
    seconds: float
    """Wall time of the step, evaluation included."""
    divergence: Divergence | None = None
    """Set in the last item of a run that diverged; the iterator ends after it."""
    group_rates: Sequence[GroupRate] = ()
    """By group, where the objective tells."""
    update_losses: Sequence[tuple[int, float]] = ()
    """(update, training loss), updates counted from 1 over the whole run: at most 1,000 in a run, evenly spaced."""
    best_step: int | None = None
    """The step whose weights the run would keep if it ended here; None: this step's."""


class Run(Protocol):
    """One training run: iterate it to train."""

    def __iter__(self) -> Iterator[Measurement]: ...

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from between two items: model, optimizer, schedule, generators, position."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`, in this or in another process."""

    def evaluate(self) -> dict[str, float]:
        """The test metrics, on data that neither training nor search saw. Called once, after the last item."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a job may search for."""

    name: str
    direction: Direction
    description: str


@dataclass(frozen=True, kw_only=True)
class RateShift:
    """How the best learning rate goes with a parameter, as known before any trial: with a power of it, which is normal."""

    power: float
    """Decades of the best rate by decade of the parameter; on a decay scale, of 1 / (1 - value)."""
    sd: float


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyperparameter of an objective.

    role, scale, rate_shift and defines_measure say what it means, so that nobody has to ask for its name. Scale and rate_shift
    follow from the role where they are left out; where an objective declares nothing of all this, roles follow from the usual
    names (`objectives.meaning`).
    """

    name: str
    type: Literal["float", "int", "categorical"]
    default: Scalar
    """Used when a job's search space leaves the parameter out."""
    space: Mapping[str, Any] | None = None
    """The default range, in the form of the REST API's `search_space`; None: not searched unless asked for."""
    description: str
    low: float | None = None
    """The smallest legal value, where there is one."""
    low_open: bool = False
    """Whether `low` itself is illegal."""
    high: float | None = None
    """The largest legal value, where there is one."""
    high_open: bool = False
    """Whether `high` itself is illegal."""
    choices: tuple[bool | str, ...] | None = None
    """The legal values of a categorical parameter."""
    applies_when: Conditions = ()
    """Where it means anything: each mapping names parameters or settings and the values that all of them must have, and one
    of the mappings is enough. Empty: always."""
    role: Role | None = None
    """No two parameters of an objective have the same."""
    scale: Scale | None = None
    """linear, unless the role has another; a range that a job searches on a logarithmic scale counts so in any case."""
    rate_shift: RateShift | None = None
    """None: that of the role, or nothing is known."""
    defines_measure: bool | tuple[str, ...] = False
    """Whether metrics of different values are not the same measure, and so not compared: all metrics, or those named."""

    def may_apply(self, possible: Mapping[str, Collection[Any]]) -> bool:
        """Whether it means anything for some of the values that each parameter and setting may take."""
        return may_apply(self.applies_when, possible)


def may_apply(applies_when: Conditions, possible: Mapping[str, Collection[Any]]) -> bool:
    """Whether one of the conditions is met by some of the values that each parameter and setting may take."""
    return not applies_when or any(
        all(any(value in values for value in possible[name]) for name, values in case.items()) for case in applies_when
    )


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A catalog entry: all that submitting and checking a job needs, without importing torch."""

    name: str
    description: str
    module: str
    """Where `start` lives; imported by trainer processes only."""
    metrics: tuple[Metric, ...]
    """The metrics a job may name; the first is the default."""
    parameters: tuple[Parameter, ...]
    settings_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    """JSON Schema (2020-12) of the job's `objective.settings`; every property has a default, and may have APPLIES_WHEN,
    DEFINES_MEASURE and ROLE."""
    step_word: str = "epoch"
    """What a step is called, for people: epoch, update, episode."""

"""The interface of an objective, shared by objectives, workers and the API. No torch here.

An objective is a module with `start(params, settings, seed, device, threads) -> Run`. A `Run` is an iterator with state:
iterating it trains, and yields one `Measurement` per step (an epoch, or a stated number of updates). The caller stops a run
by not asking for the next item. `device` is a name that torch knows, such as "cpu" or "cuda:1", never "auto".

A run may have these attributes, which are read when it has come to its end, `user_attrs` also when it was stopped:

- `guessing`: a mapping from metrics to their values for a model that predicts the same for every example, in the metric's units.
  A loss that ends far above this value has diverged, even if it is finite;
- `value`: the trial's value, where that is not the job's metric at the last step; None: it is;
- `user_attrs`: what else is to be stored with the trial, a mapping from names to what JSON can hold;
- `pruned`: why the run has ended itself before its end, in words: the trial is pruned then; None: it has not.

One that has an attribute `number` gets there the number of its trial in the job, before it is iterated. `restored_by` is what
messages call that which restores its position; by default load_state_dict.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Direction = Literal["minimize", "maximize"]
Scalar = bool | int | float | str
Conditions = Sequence[Mapping[str, Sequence[Scalar]]]
Role = Literal[
    "learning_rate",
    "batch_size",
    "duration",
    "momentum",
    "optimizer",
    "seed",
    "schedule",
    "warmup",
    "weight_decay",
    "dropout",
    "normalization",
    "clip_norm",
]
"""What a parameter does in training, independent of its name. duration: the number of steps of a run; schedule: how the rate
changes over a run; warmup: the fraction of the run in which it rises, 0: none; clip_norm: the norm to which larger gradients are
scaled, 0: no limit."""
Scale = Literal["linear", "log", "decay"]
"""The scale on which differences of a parameter are measured. decay: log(1 - value), for the decay rate of a moving average,
which averages over about 1 / (1 - value) updates."""

EXTERNAL = "external"
"""The name of the objective that a job declares itself, whose trials its clients train; no other objective may have it."""
APPLIES_WHEN = "x-applies-when"
"""Keyword in the JSON Schema of a setting, with the meaning of `Parameter.applies_when`."""
DEFINES_MEASURE = "x-defines-measure"
"""Keyword in the JSON Schema of a setting, with the meaning of `Parameter.defines_measure`: true for the data set or the fold."""
ROLE = "x-role"
"""Keyword in the JSON Schema of a setting: its role. "threads" is the number of CPU threads of a run, "data_path" a file or
folder below the folders that workers allow."""


class DataProblem(ValueError):
    """The settings or the data cannot be used for training; the message names the setting, file or row.

    for_every_trial: whether no trial of the job can be trained, whatever its parameters. The job then fails with this one.
    """

    def __init__(self, message: str, *, for_every_trial: bool = False) -> None:
        super().__init__(message)
        self.for_every_trial = for_every_trial


class RunLost(Exception):
    """The process in which a run trained has ended; the message says how. The trial is attempted again, as after a crash."""


class RunRaised(Exception):
    """What was raised in another process that trains for a run, to be told as if it had been raised in this one.

    It has been printed there. for_every_trial: as of DataProblem.
    """

    def __init__(self, type_: str, message: str, traceback: str | None, *, for_every_trial: bool = False) -> None:
        super().__init__(message)
        self.type = type_
        self.traceback = traceback
        self.for_every_trial = for_every_trial


class NoState(Exception):
    """Raised by `state_dict`: the run cannot be resumed at this step. The message says why; without one, it can be at others."""


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Evidence that a run has diverged: divergence is a result, not an error."""

    reason: str
    """One sentence with the numbers: "training loss became nan at update 12 of epoch 2"."""
    update: int
    """Optimizer updates made when it was detected, counted from the start of the run."""
    fraction: float
    """The fraction of the run's own schedule that was done when it was detected, in (0, 1]."""


@dataclass(frozen=True, kw_only=True)
class GroupRate:
    """What the optimizer applied to one parameter group in a step's last update."""

    group: str
    """The group's name; a model with a single learning rate has one group, "all"."""
    learning_rate: float
    momentum: float | None
    """The momentum, or Adam's beta1; None for optimizers without either."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One step of a run."""

    step: int
    """Number of the step, from 1."""
    fraction: float
    """The fraction of the run's own schedule that is done, in (0, 1]."""
    in_warmup: bool
    """Whether this step ended inside the learning-rate warm-up."""
    metrics: Mapping[str, float]
    """Values by name, e.g. training_loss, validation_loss, gradient_norm. May hold nan or inf once the run has diverged."""
    learning_rate: float
    """The learning rate that the optimizer applied in the step's last update."""
    seconds: float
    """Wall-clock time of the step, including evaluation."""
    divergence: Divergence | None = None
    """Set in the last item of a run that diverged; the iterator ends after it."""
    group_rates: Sequence[GroupRate] = ()
    """One for each parameter group; empty where the objective does not report them."""
    update_losses: Sequence[tuple[int, float]] = ()
    """Pairs (update, training loss), updates counted from 1 over the whole run: at most 1,000 per run, evenly spaced."""
    best_step: int | None = None
    """The step whose weights the run would keep if it ended here; None: this step."""


class Run(Protocol):
    """One training run: iterate it to train."""

    def __iter__(self) -> Iterator[Measurement]: ...

    def state_dict(self) -> dict[str, Any] | bytes:
        """Everything needed to resume between two items: model, optimizer, schedule, generators, position.

        Of tensors, NumPy arrays, numbers, text, lists and dictionaries. Bytes are stored as they are: a run that returns them
        has a method `weights`, which returns those of its model by name, or None.
        """

    def load_state_dict(self, state: Any) -> None:
        """Resume from `state`, which may come from another process."""

    def evaluate(self) -> dict[str, float]:
        """The metrics on the test set, which neither training nor search uses. Called once, after the last item."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric that a job may optimize."""

    name: str
    direction: Direction
    description: str


@dataclass(frozen=True, kw_only=True)
class RateShift:
    """Prior for how the best learning rate depends on a parameter: it is proportional to value**p, p ~ Normal(power, sd)."""

    power: float
    """Mean of the exponent p; on a decay scale, that of 1 / (1 - value) in place of the value."""
    sd: float
    """Standard deviation of the exponent p."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A bound of a parameter that depends on another parameter, or on a setting; the bound itself is legal."""

    end: Literal["low", "high"]
    given_by: str
    """The parameter or setting."""
    by_value: Mapping[str, float] | None = None
    """The bound for each value of `given_by`; one that is missing gives none. None: the bound is the value itself."""
    counts: str
    """What the bound is a number of, in messages: "transitions of an iteration"."""

    def at(self, value: object) -> float | None:
        """The bound where `given_by` has this value; None: there is none."""
        if self.by_value is not None:
            return self.by_value.get(value) if isinstance(value, str) else None
        return value if isinstance(value, int | float) else None


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyperparameter of an objective.

    role, scale, rate_shift and defines_measure declare what it means, so that no code depends on its name. A missing scale or
    rate_shift follows from the role. If an objective declares none of the four, they follow from the usual names
    (`objectives.meaning`).
    """

    name: str
    type: Literal["float", "int", "categorical"]
    default: Scalar
    """Used when a job's search space leaves the parameter out."""
    space: Mapping[str, Any] | None = None
    """The default range, in the form of the REST API's `search_space`; None: searched only if the job asks for it."""
    description: str
    low: float | None = None
    """The lower bound; None: unbounded."""
    low_open: bool = False
    """Whether `low` itself is excluded."""
    high: float | None = None
    """The upper bound; None: unbounded."""
    high_open: bool = False
    """Whether `high` itself is excluded."""
    bounds: tuple[Bound, ...] = ()
    """Further bounds of a number, given by other parameters and by settings."""
    choices: tuple[bool | str, ...] | None = None
    """The allowed values of a categorical parameter."""
    applies_when: Conditions = ()
    """When the parameter has an effect. Each mapping is a condition: every parameter or setting that it names must have one of
    the values given. One condition that is met is enough. Empty: always."""
    role: Role | None = None
    """Each role may be given to one parameter of an objective."""
    scale: Scale | None = None
    """None: the scale of the role, or else linear. A range that a job searches on a log scale is treated as log in any case."""
    rate_shift: RateShift | None = None
    """None: that of the role; if the role has none either, nothing is known. A power law: on a linear scale there is none."""
    defines_measure: bool | tuple[str, ...] = False
    """Whether metrics measured with different values of it are not comparable. True: all metrics; a tuple: those named."""

    def may_apply(self, possible: Mapping[str, Collection[Any]]) -> bool:
        """Whether it applies for at least one combination of the possible values of parameters and settings."""
        return may_apply(self.applies_when, possible)


def may_apply(applies_when: Conditions, possible: Mapping[str, Collection[Any]]) -> bool:
    """Whether at least one combination of the possible values of parameters and settings meets one of the conditions."""
    return not applies_when or any(
        all(any(value in values for value in possible[name]) for name, values in case.items()) for case in applies_when
    )


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A catalog entry: everything that is needed to submit and check a job, without importing torch."""

    name: str
    description: str
    module: str
    """The module with `start`; only trainer processes import it."""
    metrics: tuple[Metric, ...]
    """The metrics that a job may optimize; the first is the default."""
    parameters: tuple[Parameter, ...]
    settings_schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "additionalProperties": False})
    """JSON Schema (2020-12) of the job's `objective.settings`. Every property has a default, and may have the keywords
    APPLIES_WHEN, DEFINES_MEASURE and ROLE."""
    step_word: str = "epoch"
    """What a step is called in texts for people: epoch, update, episode."""
    knows_fraction: bool = True
    """Whether its runs know what fraction of their schedule a step ends at. If not, a job may have no pruner."""

"""What the callbacks share: the trial that is trained, the names of metrics, the rates that were applied, states.

Frameworks name what was measured by a prefix: `val_` (Keras, Lightning) and `eval_` (transformers) become `validation_`, and
`train_` becomes `training_`; `loss` alone is `training_loss`, and `/` is read as `_`. Other names stay, but for Keras, where a
name without a prefix is that of training. The metric that counts is also found by the framework's own name. A job that declares
its metrics is told these only.
"""

from collections.abc import Callable, Mapping
from typing import Any

from stride.rates import AppliedRates
from stride.reporting import number
from stride.running import running_trial
from stride.trial import Trial

PREFIXES = {"val": "validation", "eval": "validation", "train": "training"}
NOT_METRICS = frozenset({"step", "epoch", "lr", "learning_rate"})
"""What frameworks log beside metrics."""


class Reporter:
    """Tells a trial what a framework measures, and a framework whether to stop. Outside of a trial it does nothing.

    trial: None: the one that is trained when `begin` is called. names: gives Stride's name for the framework's. Raises TypeError.
    """

    def __init__(self, trial: Trial | None, *, names: Callable[[str], str] = str) -> None:
        if trial is not None and not isinstance(trial, Trial):
            raise TypeError(
                f"the callback was given a {type(trial).__name__}: it takes the stride.Trial of a training function, or nothing;"
                " an Optuna objective reports by trial.report"
            )
        self.rates = AppliedRates()
        self._given = trial
        self._trial: Trial | None = None
        self._names = names
        self._pending: dict[str, float] = {}
        self._has_reported = False

    @property
    def trial(self) -> Trial | None:
        """The trial that is trained; None: there is none."""
        return self._given or running_trial()

    @property
    def is_reporting(self) -> bool:
        """Whether there is a trial, and it has begun."""
        return self._trial is not None

    def begin(self) -> Any:
        """Begin to train. Returns the state to go on from; None: the trial begins, or there is none."""
        self._trial, self._pending, self._has_reported = self.trial, {}, False
        self.rates = AppliedRates()
        return None if self._trial is None else self._trial.restored()

    def report(
        self,
        measured: Mapping[str, Any],
        *,
        step: int | None = None,
        learning_rate: float | None = None,
        state: Callable[[], Any] | None = None,
    ) -> bool:
        """Tell what was measured at the end of a step; returns whether to stop.

        measured: by the framework's names. learning_rate: None: that of `rates`. state: makes what to go on from after this step.
        What was measured without the metric that counts, as without validation, is told with the next step that has it.
        """
        if self._trial is None:
            return False
        self._pending |= named(measured, self._trial.metric, self._names)
        if self._trial.metric not in self._pending:
            return False
        pending, self._pending = self._pending, {}
        if state is not None:
            self._trial.save(state)
        self._has_reported = True
        rate = self.rates.learning_rate if learning_rate is None else learning_rate
        taken = {name: value for name, value in {**self.rates.by_group(), **pending}.items() if self._trial.takes(name)}
        return self._trial.report(step, learning_rate=rate, **taken)

    def end(self) -> None:
        """The training has ended. Raises TypeError where the metric that counts was never measured."""
        if self._trial is not None and self._pending and not self._has_reported:
            self._trial.report(None, learning_rate=None, **self._pending)  # which says what it was given


def named(measured: Mapping[str, Any], metric: str, names: Callable[[str], str]) -> dict[str, float]:
    """Numbers by Stride's names for them; what is none is left out. metric: the one that counts."""
    found = {}
    for name, value in measured.items():
        if name in NOT_METRICS and name != metric:
            continue
        try:
            plain = number(name, value)
        except TypeError:
            if metric in (name, names(name)):
                raise
            continue  # such as a list with a value for each class
        found[names(name)] = plain
        if name == metric:
            found[metric] = plain
    return found


def stride_name(name: str) -> str:
    """Stride's name for what a framework calls so."""
    prefix, underscore, rest = name.replace("/", "_").partition("_")
    if underscore and rest and prefix in PREFIXES:
        return f"{PREFIXES[prefix]}_{rest}"
    return "training_loss" if name == "loss" else name


def stride_name_of_training(name: str) -> str:
    """The same where a name without a prefix is that of training, as in Keras."""
    plain = stride_name(name)
    return plain if plain.startswith(("training_", "validation_")) else f"training_{name}"


def missing(module: str, package: str, install: str) -> str:
    """What to say where a framework is not installed."""
    return f"stride.integrations.{module} needs {package}, which is not installed: pip install '{install}'"

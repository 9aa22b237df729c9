"""The handle that a training function gets: `def train(trial)`."""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stride.loop import Loop, Measured
from stride.metrics import is_taken
from stride.reporting import Reports, attribute, number


class Trial:
    """One trial: its parameters, and where the function reports what it measures."""

    def __init__(
        self, reports: Reports, metric: str, params: Mapping[str, Any], seed: int, device: str, trial_number: int
    ) -> None:
        self.params = dict(params)
        """The value of each parameter, by name."""
        self.seed = seed
        """Of Python's, NumPy's and torch's generators, which have been seeded with it if they were imported with the script."""
        self.device = device
        """Where to train, as torch names it: "cpu", or "cuda:1"."""
        self.number = trial_number
        """Of the trial in its job, from 0."""
        self.metric = metric
        """The name of the metric that counts."""
        self.declared: frozenset[str] | None = None
        """The metrics that its job declares, where it takes no others but those of `stride.metrics`; None: it takes any."""
        self._reports = reports
        self._loop: Loop | None = None
        """What `steps` has begun."""

    def report(self, step: int | None = None, *, learning_rate: float | None = None, **metrics: Any) -> bool:
        """Tell what one step measured; returns True when the function is to stop, by the pruner or since the job is stopped.

        step: its number, counted from 0 or from 1; None: the next one. metrics: by name, among them the one that was declared.
        learning_rate: the one applied in this step, where a schedule changes it. Within `steps` the step is the loop's, several
        reports of one step are one, the learning rate is the one that the loop's optimizers have applied, and it never returns
        True, since the loop ends by itself. After it, metrics without the one that was declared are noted with the trial, as by
        `set_user_attr`.
        """
        values = {name: number(name, value) for name, value in metrics.items()}
        rate = None if learning_rate is None else number("learning_rate", learning_rate)
        if self._loop is None:
            return self._tell(Measured(step, values, rate))
        if not self._loop.is_over:
            self._loop.report(values, rate)
            return False
        if self.metric in values:
            return self._tell(Measured(step, values, rate))
        for name, value in values.items():
            self.set_user_attr(name, value if math.isfinite(value) else str(value))
        return False

    def takes(self, name: str) -> bool:
        """Whether its job takes a metric of this name."""
        return self.declared is None or is_taken(name, self.declared)

    def steps(self, n: int, *objects: Any) -> Iterator[int]:
        """Count the steps of training from 0 to n - 1: `for epoch in trial.steps(20, model, optimizer): ...`.

        objects: what training changes, each with state_dict and load_state_dict, as the modules, optimizers and schedulers of
        torch have. They are saved at the end of each step, and restored when the loop begins where the trial resumes, which
        then goes on with the next step. The weights of the first module are those of the best model. A step may report, and its
        report is told when it ends; the loop ends early where the trial is to stop. Raises TypeError; RuntimeError where a trial
        has reported before, or begins a second loop.
        """
        if self._loop is not None:
            raise RuntimeError("steps was called twice in a trial: count all its steps in one loop")
        if self._reports.step > 0:
            raise RuntimeError("report was called before steps, which counts from the first step: report within the loop")
        self._loop = Loop(self._reports, self.metric, self._tell, n, objects, self.takes)
        return iter(self._loop)

    def end(self, returned: Any) -> None:
        """After the function has returned: what is left to tell. If it reported nothing, a number that it returned counts."""
        if self._loop is not None:
            self._loop.end()
            self._loop.check_metric()
        if self._reports.step == 0 and returned is not None:
            self._tell(Measured(None, {self.metric: number("what the function returned", returned)}, None))

    def _tell(self, measured: Measured) -> bool:
        if self.metric not in measured.metrics:
            raise TypeError(
                f"report was not given {self.metric}, the metric that counts: it was given {_names(measured.metrics)}"
            )
        return self._reports.report(*measured)

    def save(self, state: Any) -> None:
        """Name what the function needs to resume after the step that it reports next: call it right before `report`.

        A dictionary of tensors, NumPy arrays, numbers, text, lists and dictionaries, or the path of a folder; or a function that
        returns one. It costs nothing: the state is stored, and the function called, in `report`, and only if a checkpoint is due.
        The weights under "model" are those of the best model.
        """
        if self._loop is not None:
            raise RuntimeError("trial.save was called with trial.steps, which saves: give it an object with state_dict instead")
        if isinstance(state, str | os.PathLike):
            state = Path(state)
            if not state.is_dir():
                raise ValueError(f"trial.save was given the path {state}, which is no folder")
        elif not isinstance(state, Mapping) and not callable(state):
            raise TypeError(
                f"trial.save was given a {type(state).__name__}: it takes a dictionary, the path of a folder, or a function that"
                " returns one"
            )
        self._reports.save(state)

    def restored(self) -> Any:
        """The state that was saved, where the trial resumes: the dictionary, or the path of a folder; None: it begins.

        Tensors are on the CPU. Random numbers go on from where they were, so call it after the model is made.
        """
        return self._reports.restored()

    def set_user_attr(self, key: str, value: Any) -> None:
        """Note something with the trial, in what JSON can hold: stored when the function has returned, saved with its state."""
        name, plain = attribute(key, value)
        self._reports.attributes[name] = plain


def _names(metrics: Mapping[str, Any]) -> str:
    return ", ".join(metrics) or "no metric"

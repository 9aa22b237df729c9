"""The handle that a training function gets: `def train(trial)`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
        self._reports = reports
        self._metric = metric
        self._step: int | None = None
        """The one that `steps` has begun, counted from 0."""
        self._measured: _Measured | None = None
        """What was reported in it, which is told at its end."""

    def report(self, step: int | None = None, *, learning_rate: float | None = None, **metrics: Any) -> bool:
        """Tell what one step measured; returns True when the function is to stop, by the pruner or since the job is stopped.

        step: its number, counted from 0 or from 1; None: the next one. metrics: by name, among them the one that was declared.
        learning_rate: the one applied in this step, where a schedule changes it. Within `steps` the step is the loop's, several
        reports of one step are one, and it never returns True, since the loop ends by itself.
        """
        values = {name: number(name, value) for name, value in metrics.items()}
        rate = None if learning_rate is None else number("learning_rate", learning_rate)
        if self._step is None:
            return self._tell(_Measured(step, values, rate))
        before = self._measured or _Measured(None, {}, None)
        self._measured = _Measured(self._step + 1, {**before.metrics, **values}, before.learning_rate if rate is None else rate)
        return False

    def steps(self, n: int, *objects: Any) -> Iterator[int]:
        """Count the steps of training from 0 to n - 1: `for epoch in trial.steps(20, model, optimizer): ...`.

        objects: what training changes, each with state_dict and load_state_dict, as the modules, optimizers and schedulers of
        torch have. They are saved at the end of each step, and restored when the loop begins where the trial resumes, which
        then goes on with the next step. The weights of the first module are those of the best model. A step may report, and its
        report is told when it ends; the loop ends early where the trial is to stop. Raises TypeError.
        """
        for each in objects:
            if not all(callable(getattr(each, method, None)) for method in ("state_dict", "load_state_dict")):
                raise TypeError(f"steps was given a {type(each).__name__}, which has no state_dict and load_state_dict")
        return self._steps(n, objects)

    def end(self) -> None:
        """Tell what was reported in a step that did not end, since the function has left its loop."""
        self._step = None
        if self._measured is not None:
            measured, self._measured = self._measured, None
            self._tell(measured)

    def _steps(self, n: int, objects: Sequence[Any]) -> Iterator[int]:
        saved, first = self.restored(), 0
        if saved is not None:
            for each, state in zip(objects, saved["states"], strict=True):
                each.load_state_dict(saved["model"] if state is None else state)
            first = saved["step"] + 1
        for step in range(first, n):
            self._step = step
            if objects:
                self._reports.save(partial(_states, step, objects))
            yield step
            if self._measured is not None:
                measured, self._measured = self._measured, None
                if self._tell(measured):
                    break
        self._step = None

    def _tell(self, measured: "_Measured") -> bool:
        if self._metric not in measured.metrics:
            raise TypeError(
                f"report was not given {self._metric}, the metric that counts: it was given {_names(measured.metrics)}"
            )
        return self._reports.report(*measured)

    def save(self, state: Any) -> None:
        """Name what the function needs to resume after the step that it reports next: call it right before `report`.

        A dictionary of tensors, NumPy arrays, numbers, text, lists and dictionaries, or the path of a folder. It costs nothing:
        the state is stored in `report`, and only if a checkpoint is due. The weights under "model" are those of the best model.
        """
        if isinstance(state, str | os.PathLike):
            state = Path(state)
            if not state.is_dir():
                raise ValueError(f"trial.save was given the path {state}, which is no folder")
        elif not isinstance(state, Mapping):
            raise TypeError(f"trial.save was given a {type(state).__name__}: it takes a dictionary, or the path of a folder")
        self._reports.save(state)

    def restored(self) -> Any:
        """The state that was saved, where the trial resumes: the dictionary, or the path of a folder; None: it begins.

        Tensors are on the CPU. Random numbers go on from where they were, so call it after the model is made.
        """
        return self._reports.restored()

    def set_user_attr(self, key: str, value: Any) -> None:
        """Note something with the trial, in what JSON can hold; it is stored when the function has returned."""
        name, plain = attribute(key, value)
        self._reports.attributes[name] = plain


class _Measured(NamedTuple):
    """What one step measured."""

    step: int | None
    metrics: dict[str, float]
    learning_rate: float | None


def _states(step: int, objects: Sequence[Any]) -> dict[str, Any]:
    states = [each.state_dict() for each in objects]
    place = next((place for place, each in enumerate(objects) if hasattr(each, "parameters")), None)
    if place is None:
        return {"step": step, "states": states}
    model, states[place] = states[place], None
    return {"step": step, "states": states, "model": model}


def _names(metrics: Mapping[str, Any]) -> str:
    return ", ".join(metrics) or "no metric"

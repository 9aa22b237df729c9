"""The handle that a training function gets: `def train(trial)`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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

    def report(self, step: int | None = None, *, learning_rate: float | None = None, **metrics: Any) -> bool:
        """Tell what one step measured; returns True when the function is to stop, by the pruner or since the job is stopped.

        step: its number, counted from 0 or from 1; None: the next one. metrics: by name, among them the one that was declared.
        learning_rate: the one applied in this step, where a schedule changes it.
        """
        if self._metric not in metrics:
            raise TypeError(
                f"trial.report was not given {self._metric}, the metric that is declared: it was given {_names(metrics)}"
            )
        values = {name: number(name, value) for name, value in metrics.items()}
        rate = None if learning_rate is None else number("learning_rate", learning_rate)
        return self._reports.report(step, values, rate)

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


def _names(metrics: Mapping[str, Any]) -> str:
    return ", ".join(metrics) or "no metric"

"""PyTorch: `with follow(model, optimizer, schedule) as training:`, for loops that `stride.steps` cannot count."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stride.integrations.reporter import Reporter
from stride.objects import Objects
from stride.trial import Trial


class Followed:
    """Training that is followed."""

    def __init__(self, reporter: Reporter, objects: Objects, done: int) -> None:
        self.done = done
        """How many reports there were: 0 where the trial begins, more where it goes on."""
        self._reporter = reporter
        self._objects = objects

    def report(self, **metrics: Any) -> bool:
        """Tell what was measured since the last report; returns True when the training is to stop.

        metrics: by name, as numbers or tensors with one element, among them the one that counts. `learning_rate` is what the
        optimizer has applied in its last update, unless it is given; groups with different rates are `learning_rate/NAME`, by the
        entry "name" of the group, or its number. What the objects hold now is saved if a checkpoint is due.
        """
        self.done += 1
        rate = metrics.pop("learning_rate", None)
        return self._reporter.report(metrics, learning_rate=rate, state=self._state)

    def _state(self) -> dict[str, Any]:
        return {"done": self.done, **self._objects.state()}


@contextmanager
def follow(*objects: Any, trial: Trial | None = None) -> Iterator[Followed]:
    """Follow a loop: `with follow(model, optimizer, schedule) as training:`, and in it `training.report(validation_loss=loss)`.

    objects: what training changes, each with state_dict and load_state_dict, the same ones each time. Where the trial goes on,
    they are restored here, and `training.done` says after how many reports. The weights of the first module are those of the best
    model. trial: left out: the one that is trained. Outside of a trial it changes nothing. Raises TypeError, RuntimeError.
    """
    reporter, kept = Reporter(trial), Objects(objects, "follow")
    saved = reporter.begin()
    if saved is not None:
        kept.restore(saved)
    reporter.rates.watch(objects)
    try:
        yield Followed(reporter, kept, 0 if saved is None else saved["done"])
    finally:
        reporter.rates.close()

"""Keras: `model.fit(..., callbacks=[StrideCallback()])`, on any backend."""

from collections.abc import Mapping, Sequence
from typing import Any

from stride.integrations.reporter import Reporter, missing, stride_name_of_training
from stride.trial import Trial

try:
    import keras
except ModuleNotFoundError as error:
    if error.name != "keras":
        raise
    raise ModuleNotFoundError(missing("keras", "Keras", "keras>=3.15"), name="keras") from None


class StrideCallback(keras.callbacks.Callback):  # type: ignore[misc, unused-ignore] # of no type where it is not installed
    """Reports each epoch to the trial that is trained, ends `fit` where the trial is to stop, and lets a trial go on.

    A trial that was interrupted goes on with the epoch after its last checkpoint: weights, optimizer, random numbers and the
    history of `fit` are restored. Other callbacks that count, such as EarlyStopping, begin anew. The model must be built before
    `fit`, as by an Input. Metrics: val_loss is validation_loss, loss is training_loss, accuracy is training_accuracy. The
    learning rate is what the optimizer has applied in the epoch's last update. Outside of a trial it does nothing.

    trial: of a training function, `def train(trial)`; left out: the one that is trained. Raises TypeError.
    """

    def __init__(self, trial: Trial | None = None) -> None:
        super().__init__()
        self._reporter = Reporter(trial, names=stride_name_of_training)
        self._saved: dict[str, Any] | None = None
        """What the trial goes on from, until its first epoch begins."""
        self._rate: Any = None
        """Of the last update, where no schedule says it."""

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Restore what was saved. Not before: `fit` draws random numbers until here."""
        self._saved = self._reporter.begin()
        if self._saved is None:
            return
        model, optimizer = self.model, self.model.optimizer
        if not model.built:
            raise ValueError("an interrupted trial cannot go on: the model must be built before fit, as by a keras.Input")
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        for variables, values in ((model.variables, self._saved["model"]), (optimizer.variables, self._saved["optimizer"])):
            for variable, value in zip(variables, values.values(), strict=True):  # by their order: a second model has other names
                variable.assign(value)
        model.history.history.update(self._saved["history"])
        model._initial_epoch = self._saved["epoch"]  # as keras.callbacks.BackupAndRestore tells it to `fit`

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """In the first epoch, see whether it is the right one."""
        if self._saved is not None:
            if epoch != self._saved["epoch"]:
                raise RuntimeError(
                    f"Keras {keras.__version__} goes on with epoch {epoch}, the trial with {self._saved['epoch']}: use Keras 3.15"
                )
            self.model.history.epoch.extend(range(epoch))
            self._forget_saved()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Keep the rate, which other callbacks may change before the epoch ends: a copy, on the device."""
        if not self._reporter.is_reporting:
            return
        rate = _rate_of(self.model.optimizer)
        if isinstance(rate, keras.Variable) and keras.backend.backend() != "jax":  # there its value is elsewhere until the end
            self._rate = keras.ops.copy(rate.value)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report the epoch."""
        if not self._reporter.is_reporting:
            return
        logs = dict(logs or {})

        def state() -> dict[str, Any]:
            history = self.model.history.history
            if len(self.model.history.epoch) <= epoch:  # it hears of the epoch after this callback
                history = {name: [*history.get(name, ()), value] for name, value in logs.items()}
            return {
                "epoch": epoch + 1,
                "history": {name: [float(value) for value in values] for name, values in history.items()},
                "model": _values(self.model.variables),
                "optimizer": _values(self.model.optimizer.variables),
            }

        if self._reporter.report(logs, step=epoch + 1, learning_rate=self._applied_rate(), state=state):
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """See whether the metric that counts was measured."""
        self._forget_saved()
        self._reporter.end()

    def _forget_saved(self) -> None:
        if self._saved is not None:
            self._saved = self.model._initial_epoch = None  # another `fit` begins at its own epoch

    def _applied_rate(self) -> float:
        optimizer = self.model.optimizer
        rate = _rate_of(optimizer)
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            every = optimizer.gradient_accumulation_steps or 1
            rate = rate(optimizer.iterations * every - 1)
        elif self._rate is not None:
            rate = self._rate
        return float(keras.ops.convert_to_numpy(rate() if callable(rate) else rate))


def _rate_of(optimizer: Any) -> Any:
    """The variable or the schedule: `learning_rate` would ask the schedule for the rate of the next update."""
    return getattr(optimizer, "inner_optimizer", optimizer)._learning_rate


def _values(variables: Sequence[Any]) -> dict[str, Any]:
    """By path, and by number where two have one."""
    found: dict[str, Any] = {}
    for place, variable in enumerate(variables):
        value = keras.ops.convert_to_numpy(variable.value)
        value = value.astype("float32") if value.dtype.kind == "V" else value  # bfloat16, which NumPy does not know
        found[variable.path if variable.path not in found else f"{variable.path}#{place}"] = value
    return found

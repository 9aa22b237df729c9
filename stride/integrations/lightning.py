"""Lightning: `Trainer(callbacks=[StrideCallback()])`."""

import tempfile
from pathlib import Path
from typing import Any

from stride.integrations.reporter import Reporter, missing, stride_name
from stride.trial import Trial

try:
    import lightning.pytorch as lightning
except ModuleNotFoundError as error:
    if error.name not in ("lightning", "lightning.pytorch"):
        raise
    raise ModuleNotFoundError(missing("lightning", "Lightning", "lightning>=2.6"), name="lightning") from None

FILE = "last.ckpt"


class StrideCallback(lightning.Callback):  # type: ignore[misc, unused-ignore] # of no type where it is not installed
    """Reports each epoch to the trial that is trained, ends `fit` where the trial is to stop, and lets a trial go on.

    An interrupted trial goes on with the epoch after its last checkpoint, which is Lightning's own, of module, optimizers,
    schedulers, loops and callbacks; `fit` needs no `ckpt_path`. Metrics are those that the module logs: val_loss is
    validation_loss, train_loss is training_loss; values of single steps are left out. The learning rate is what the first
    optimizer has applied in the epoch's last update. The sanity check is not reported. Outside of a trial it does nothing.

    trial: of a training function, `def train(trial)`; left out: the one that is trained. Raises TypeError.
    """

    def __init__(self, trial: Trial | None = None) -> None:
        super().__init__()
        self._reporter = Reporter(trial, names=stride_name)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._of_validation: set[str] = set()
        """Names that validation logs."""
        self._before_validation: set[str] = set()
        self._is_validated = False
        """Whether validation has run since the last report: Lightning keeps the values of the one before."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Raises ValueError where several processes train."""
        if stage == "fit" and self._reporter.trial is not None and trainer.world_size > 1:
            raise ValueError(f"a trial is trained by one process, and this Trainer has {trainer.world_size}: use devices=1")

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Have Lightning go on from what was saved, right before it looks for that of `ckpt_path`."""
        saved = self._reporter.begin()
        self._of_validation, self._is_validated = set(), False
        if saved is None:
            return
        import torch

        path = saved["checkpoint"] / FILE
        content = torch.load(path, weights_only=True)
        torch.save(content | {"state_dict": saved["model"]}, path)
        # What `fit(ckpt_path=...)` calls, too; it restores optimizers, schedulers and loops behind this hook.
        trainer._checkpoint_connector._restore_modules_and_callbacks(path)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Keep the rate."""
        self._reporter.rates.note(optimizer)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Know what was logged before."""
        self._before_validation = set(trainer.callback_metrics)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Know what validation has logged."""
        if not trainer.sanity_checking:
            self._of_validation |= set(trainer.callback_metrics) - self._before_validation
            self._is_validated = True

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Report the epoch, behind its validation."""
        measured = {
            name.removesuffix("_epoch"): value
            for name, value in trainer.callback_metrics.items()
            if not name.endswith("_step") and (self._is_validated or name not in self._of_validation)
        }
        self._is_validated = False
        if self._reporter.report(measured, step=trainer.current_epoch + 1, state=lambda: self._state(trainer)):
            trainer.should_stop = True

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """See whether the metric that counts was measured."""
        self._reporter.end()

    def _state(self, trainer: Any) -> dict[str, Any]:
        """Lightning's checkpoint, and the weights in it beside it: they are those of the best model."""
        import torch

        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="stride-")
        path = Path(self._folder.name) / FILE
        trainer.save_checkpoint(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        weights = content.pop("state_dict")
        torch.save(content, path)
        return {"model": weights, "checkpoint": path.parent}

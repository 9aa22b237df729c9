"""Transformers: `Trainer(callbacks=[callback])`, then `trainer.train(resume_from_checkpoint=callback.checkpoint)`."""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from stride import generators
from stride.integrations.reporter import Reporter, missing, stride_name
from stride.trial import Trial

try:
    from transformers import TrainerCallback, TrainingArguments
except ModuleNotFoundError as error:
    if error.name != "transformers":
        raise
    raise ModuleNotFoundError(missing("transformers", "transformers", "transformers[torch]>=5.23"), name="transformers") from None

WEIGHTS = "model.safetensors"
SPEEDS = ("_runtime", "_per_second")
"""How the names end of what the Trainer measures of itself."""


class StrideCallback(TrainerCallback):  # type: ignore[misc, unused-ignore] # of no type where it is not installed
    """Reports each evaluation to the trial that is trained, ends the training where the trial is to stop, and lets a trial go on.

    A step of the trial is an evaluation, of an epoch or of `eval_steps` updates. `trainer.train(resume_from_checkpoint=
    callback.checkpoint)` has an interrupted trial go on from the Trainer's own checkpoint, which is made at each evaluation, and
    is removed unless the arguments ask for it; without it the trial begins anew. Metrics: eval_loss is validation_loss, loss is
    training_loss, grad_norm is gradient_norm. The learning rate is what the optimizer has applied in the last update. Within a
    trial the seed is the trial's where the arguments have the usual one, 42, and each trial has a folder of its own in
    `output_dir`: workers train at the same time. Give the callback to the Trainer when it is made. Outside of a trial it does
    nothing.

    trial: of a training function, `def train(trial)`; left out: the one that is trained. Raises TypeError.
    """

    def __init__(self, trial: Trial | None = None) -> None:
        self._reporter = Reporter(trial, names=stride_name)
        self._has_begun = False
        self._is_resumable = False
        """Whether the training was told the checkpoint to go on from, so that there is use in saving more."""
        self._is_training = False
        self._is_extra = False
        """Whether the checkpoint that the Trainer makes now is made for this callback alone."""
        self._logged: dict[str, Any] = {}
        self._evaluated: dict[str, Any] = {}
        self._place: tempfile.TemporaryDirectory[str] | None = None
        self._kept: tempfile.TemporaryDirectory[str] | None = None
        """The checkpoint of the last report."""

    @property
    def checkpoint(self) -> str | None:
        """The folder that the trial goes on from; None: it begins."""
        self._is_resumable = True
        saved = self._begin()
        if saved is None:
            return None
        folder: Path = saved["checkpoint"]
        if "model" in saved:
            from safetensors.torch import save_file

            save_file(saved["model"], folder / WEIGHTS, metadata={"format": "pt"})
        return str(folder)

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Give the trial its seed and its folder."""
        trial = self._reporter.trial
        if trial is None:
            return
        if args.world_size > 1:
            raise ValueError(f"a trial is trained by one process, and this Trainer has {args.world_size}")
        if args.seed == TrainingArguments.seed and not args.full_determinism:
            args.seed = trial.seed % 2**32
            generators.seed(trial.seed)  # the Trainer has set them by the seed of before
        if args.save_strategy == "no":
            self._place = tempfile.TemporaryDirectory(prefix="stride-")
            args.output_dir = self._place.name
        else:
            Path(args.output_dir).mkdir(parents=True, exist_ok=True)
            args.output_dir = tempfile.mkdtemp(prefix=f"trial-{trial.number}-", dir=args.output_dir)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin the trial, unless it has begun by its checkpoint."""
        if not self._has_begun and self._reporter.trial is not None and self._begin() is not None:
            raise RuntimeError(
                "the trial goes on from a checkpoint: train by trainer.train(resume_from_checkpoint=callback.checkpoint)"
            )
        self._is_training, self._has_begun = True, False
        if self._reporter.trial is not None:
            args.logging_nan_inf_filter = False  # it would show a loss that is no number as the mean of those before

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, optimizer: Any = None, **kwargs: Any) -> None:
        """Keep the rate."""
        self._reporter.rates.note(optimizer)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Ask for the logs of an evaluation, and for a checkpoint."""
        if control.should_evaluate and self._reporter.trial is not None:
            control.should_log = True
            if self._is_resumable and args.save_strategy != "best":  # that decides behind the evaluation whether it saves
                self._is_extra = not control.should_save
                control.should_save = True
        return control

    on_epoch_end = on_step_end

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Keep what was measured of the training."""
        for name, ours in (("loss", "training_loss"), ("grad_norm", "gradient_norm")):
            if name in (logs or {}):
                self._logged[ours] = logs[name]

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> Any:
        """Keep what was measured; report it unless a checkpoint follows."""
        if self._is_training and state.global_step > 0:
            self._evaluated |= {name: value for name, value in (metrics or {}).items() if not name.endswith(SPEEDS)}
            if not control.should_save:
                self._report(control, None)
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Report the evaluation, of which this is the checkpoint."""
        if self._evaluated:
            made = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            self._report(control, made if self._is_resumable else None, args)
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report what is left, and see whether the metric that counts was measured."""
        if self._evaluated:
            self._report(control, None)
        self._is_training = False
        self._reporter.end()

    def _begin(self) -> Any:
        self._has_begun = True
        self._logged, self._evaluated = {}, {}
        return self._reporter.begin()

    def _report(self, control: Any, made: Path | None, args: Any = None) -> None:
        measured, self._evaluated = {**self._logged, **self._evaluated}, {}
        state, before = None, self._kept
        if made is not None:
            self._kept = tempfile.TemporaryDirectory(prefix=".stride-", dir=made.parent)
            state = partial(_state, _taken(made, Path(self._kept.name), self._is_extra and not args.load_best_model_at_end))
        if self._reporter.report(measured, state=state):
            control.should_training_stop = True
        if before is not None and before is not self._kept:
            before.cleanup()


def _taken(made: Path, place: Path, is_ours: bool) -> Path:
    """The folder of a checkpoint in a place of its own, with its weights beside it: the Trainer may remove it any time."""
    folder = place / "checkpoint"
    if is_ours:
        made.rename(folder)
    else:
        shutil.copytree(made, folder)
    if (folder / WEIGHTS).is_file():
        (folder / WEIGHTS).rename(place / WEIGHTS)
    return folder


def _state(folder: Path) -> dict[str, Any]:
    """What a trial goes on from. The weights are those of the best model, where they are in one file."""
    if not (weights := folder.parent / WEIGHTS).is_file():
        return {"checkpoint": folder}
    from safetensors.torch import load_file

    return {"checkpoint": folder, "model": load_file(weights)}

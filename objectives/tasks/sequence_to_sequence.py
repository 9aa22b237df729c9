"""Sequence-to-sequence learning: a Transformer learns to translate texts, character by character.

Source: dates written in twelve languages, to be translated to ISO 8601 (objectives/data/dates.py), or two local text files.
Run:    python -m objectives.tasks.sequence_to_sequence --learning-rate 0.002 --beam-width 4
Known good: the defaults, learning rate 0.003 for 14 epochs, translate 0.985 of the test set's dates exactly (mean of two folds,
seed 0, babel 2.19). A run took 98 seconds of one core of a busy machine.

A step is an epoch. Losses are teacher-forced: each token is predicted from the right ones before it. For the exact match, of the
whole validation or test set, translations are decoded from the text alone.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import DataProblem, Run
from objectives.data import files
from objectives.data.characters import PADDING
from objectives.data.dates import written_dates
from objectives.data.notes import logged
from objectives.data.parallel_text import parallel_text
from objectives.data.translations import Translations
from objectives.entries.sequence_to_sequence import SEQUENCE_TO_SEQUENCE
from objectives.models.layers import ACTIVATIONS
from objectives.models.translator import Translated, Translator
from objectives.parallel.run import over_processes
from objectives.training.devices import find_device
from objectives.training.sets import on_device
from objectives.training.supervised import SupervisedRun
from objectives.training.task import Task

HEADS = 4
"""Of attention."""


def data(settings: Mapping[str, Any]) -> Translations:
    """The training, validation and test sets; loaders keep what they have read last."""
    if settings["dataset"] == "dates":
        return written_dates(settings["fold"])
    if settings["target_path"] is None:
        raise DataProblem("target_path is not set: it must name the file of the translations.")
    source, target = files.find(settings["path"]), files.find(settings["target_path"])
    return parallel_text(source, target, settings["fold"], settings["max_length"])


def model(params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
    """The Transformer, for the characters and the longest texts of the data."""
    width = settings["width"]
    if width % HEADS:
        raise DataProblem(f"width is {width}: a Transformer needs a multiple of its {HEADS} heads of attention.")
    return Translator(
        data(settings),
        width,
        heads=HEADS,
        layers=settings["layers"],
        activation=ACTIVATIONS[params["activation"]],
        dropout=params["dropout"],
        beam_width=settings["beam_width"],
    )


@over_processes(SEQUENCE_TO_SEQUENCE)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(SEQUENCE_TO_SEQUENCE) | dict(params)
    settings = default_settings(SEQUENCE_TO_SEQUENCE) | dict(settings)
    place = find_device(device)
    sets = logged(data(settings))
    assert isinstance(sets, Translations)
    guessing = guessing_loss(sets.training.targets, sets.n_targets)
    task = Task(
        training_loss=token_loss(params["label_smoothing"]),
        validation_loss=token_loss(),
        guessing_loss=lambda _outputs, _targets: guessing,
        score_name="exact_match",
        predictions=lambda outputs, _targets: outputs.tokens,
        score=_exact_match,
    )
    return SupervisedRun(task, on_device(sets, place), partial(model, params, settings), params, settings, seed, place)


def token_loss(label_smoothing: float = 0.0) -> Callable[[Translated, Tensor], Tensor]:
    """The cross-entropy of translations, a mean over the tokens of each, and then over them: padding does not count.

    So the losses of batches, weighted by their translations, have that of all translations as their mean.
    """

    def loss(outputs: Translated, targets: Tensor) -> Tensor:
        by_class = outputs.logits.transpose(1, 2)
        of_tokens = cross_entropy(by_class, targets, ignore_index=PADDING, label_smoothing=label_smoothing, reduction="none")
        return (of_tokens.sum(dim=1) / (targets != PADDING).sum(dim=1)).mean()

    return loss


def guessing_loss(targets: Tensor, n_targets: int) -> float:
    """The loss of answering with how frequent each token is, whatever the text and the tokens before it."""
    counts = targets.flatten().bincount(minlength=n_targets).float()
    counts[PADDING] = 0.0
    logits = counts.log().expand(*targets.shape, n_targets)
    return float(token_loss()(Translated(logits, None), targets))


def _exact_match(translated: Tensor, targets: Tensor) -> Tensor:
    # What is decoded has no unknown character, so that a target with one is never matched.
    return (translated == targets).all(dim=1).float().mean()


if __name__ == "__main__":
    command_line.main(SEQUENCE_TO_SEQUENCE, start)

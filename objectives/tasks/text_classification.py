"""Text classification: a small network reads texts character by character, and learns to classify them into n classes.

Source: names of the CLDR, in which of twelve languages (objectives/data/cldr_names.py), or local files.
Run:    python -m objectives.tasks.text_classification --model lstm --learning-rate 0.01 --epochs 20
Known good: the defaults, learning rate 0.005 for 10 epochs, reach a test accuracy of 0.883 with the bag, 0.849 with the gru,
0.837 with the lstm and 0.846 with the transformer (mean of five folds, seed 0, babel 2.19: benchmarks/reached.py). A run takes
2 to 16 seconds of one core.

A character is a Unicode code point (after NFC) of a vocabulary of the training set. A step is an epoch.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import DataProblem, Run
from objectives.data import files
from objectives.data.characters import TextSets
from objectives.data.cldr_names import cldr_names
from objectives.data.notes import logged
from objectives.data.text_columns import Wanted
from objectives.data.text_csv import text_csv
from objectives.data.text_parquet import text_parquet
from objectives.entries.text_classification import TEXT_CLASSIFICATION
from objectives.models.bag import BagOfNgrams
from objectives.models.layers import ACTIVATIONS
from objectives.models.padding import last_step, mean_step
from objectives.models.recurrent import Recurrent
from objectives.models.text import LocalTransformer, TextClassifier
from objectives.parallel.run import over_processes
from objectives.training.classification import classification
from objectives.training.devices import find_device
from objectives.training.sets import on_device
from objectives.training.supervised import SupervisedRun


def data(settings: Mapping[str, Any]) -> TextSets:
    """The training, validation and test sets; loaders keep what they have read last."""
    fold, max_length = settings["fold"], settings["max_length"]
    if settings["dataset"] == "cldr-names":
        return cldr_names(fold, max_length)
    read = text_csv if settings["dataset"] == "csv" else text_parquet
    wanted = Wanted(text=settings["text"], target=settings["target"], max_length=max_length)
    return read(files.find(settings["path"]), fold, wanted)


def model(params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
    """The network, for the characters of the data, with an output for each class."""
    sets = data(settings)
    assert sets.n_classes is not None
    width, dropout = settings["width"], params["dropout"]
    if settings["model"] == "bag":
        longest, buckets = settings["longest_ngram"], settings["buckets"]
        return BagOfNgrams(width, sets.n_classes, longest=longest, buckets=buckets, dropout=dropout)
    layers = settings["layers"]
    if settings["model"] == "transformer":
        heads = settings["heads"]
        if width % heads or width % 2:
            raise DataProblem(f"width is {width}: a Transformer needs an even one that is a multiple of heads, {heads}.")
        activation = ACTIVATIONS[params["activation"]]
        encoder: nn.Module = LocalTransformer(
            width, settings["max_length"], layers=layers, heads=heads, activation=activation, dropout=dropout
        )
        return TextClassifier(sets.n_tokens, width, sets.n_classes, encoder, mean_step, dropout=dropout)
    encoder = Recurrent(settings["model"], width, width, layers=layers, dropout=dropout)
    return TextClassifier(sets.n_tokens, width, sets.n_classes, encoder, last_step, dropout=dropout)


@over_processes(TEXT_CLASSIFICATION)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(TEXT_CLASSIFICATION) | dict(params)
    settings = default_settings(TEXT_CLASSIFICATION) | dict(settings)
    place = find_device(device)
    sets = logged(data(settings))
    task = classification(sets, params["loss"], params["label_smoothing"])
    return SupervisedRun(task, on_device(sets, place), partial(model, params, settings), params, settings, seed, place)


if __name__ == "__main__":
    command_line.main(TEXT_CLASSIFICATION, start)

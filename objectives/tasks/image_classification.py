"""Image classification: a small network learns to classify images into n classes.

Source: handwritten digits (objectives/data/digits.py), or local files of standard data sets.
Run:    python -m objectives.tasks.image_classification --learning-rate 0.02 --epochs 20
Known good: the defaults, learning rate 0.02 for 10 epochs, reach a test accuracy of 0.971 with the mlp, 0.981 with the cnn and
0.982 with the resnet on digits (mean of five folds, seed 0: benchmarks/results/objectives_2cores_202611.md).

A step is an epoch. Validation and test accuracy are the fractions of images whose highest output is that of the right class.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import DataProblem, Run
from objectives.data import files
from objectives.data.cifar import cifar10, cifar100
from objectives.data.digits import digits
from objectives.data.examples import Sets
from objectives.data.idx import idx
from objectives.data.image_folder import image_folder
from objectives.data.image_parquet import image_parquet
from objectives.data.notes import logged
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.models.cnn import cnn
from objectives.models.layers import between
from objectives.models.mlp import mlp
from objectives.models.resnet import resnet
from objectives.parallel.run import over_processes
from objectives.training.classification import classification
from objectives.training.devices import find_device
from objectives.training.sets import on_device
from objectives.training.supervised import SupervisedRun

MODELS: Mapping[str, Callable[..., nn.Sequential]] = {"mlp": mlp, "cnn": cnn, "resnet": resnet}
SMALLEST = {"mlp": 1, "cnn": 4, "resnet": 5}
"""Minimum height and width in pixels: models halve them twice, and the ResNet then normalizes over several positions."""


def data(settings: Mapping[str, Any]) -> Sets:
    """The training, validation and test sets; loaders keep what they have read last."""
    fold = settings["fold"]
    if settings["dataset"] == "digits":
        return digits(fold)
    path = files.find(settings["path"])
    match settings["dataset"]:
        case "mnist":
            return idx(path, fold)
        case "cifar10":
            return cifar10(path, fold)
        case "cifar100":
            return cifar100(path, fold)
        case "image-folder":
            return image_folder(path, fold, settings["image_size"])
    return image_parquet(path, fold, settings["image_size"])


def model(params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
    """The network for the data of a trial."""
    return network(data(settings), params, settings)


def network(sets: Sets, params: Mapping[str, Any], settings: Mapping[str, Any]) -> nn.Module:
    """The network for images as large as those of `sets`, with an output for each class. Raises DataProblem for smaller ones."""
    _check_size(sets, settings)
    size = {"hidden_layers": settings["hidden_layers"], "width": settings["width"]} if settings["model"] == "mlp" else {}
    return MODELS[settings["model"]](sets.input_shape, sets.n_classes, between(params), **size)


@over_processes(IMAGE_CLASSIFICATION)
def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(IMAGE_CLASSIFICATION) | dict(params)
    settings = default_settings(IMAGE_CLASSIFICATION) | dict(settings)
    place = find_device(device)
    sets = logged(data(settings))
    task = classification(sets, params["loss"], params["label_smoothing"])
    return SupervisedRun(task, on_device(sets, place), partial(model, params, settings), params, settings, seed, place)


def _check_size(sets: Sets, settings: Mapping[str, Any]) -> None:
    _, height, width = sets.input_shape
    smallest = SMALLEST[settings["model"]]
    if min(height, width) < smallest:
        raise DataProblem(
            f"The {settings['model']} needs images of at least {smallest} pixels in height and width, those of"
            f" {settings['dataset']} are {height}x{width}: choose the model mlp, or a larger image_size."
        )


if __name__ == "__main__":
    command_line.main(IMAGE_CLASSIFICATION, start)

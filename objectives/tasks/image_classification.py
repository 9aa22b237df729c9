"""Image classification: a small network learns to classify images into n classes.

Source: handwritten digits (objectives/data/digits.py), or local files of standard data sets.
Run:    python -m objectives.tasks.image_classification --learning-rate 0.02 --epochs 20
Known good: the defaults, learning rate 0.02 for 10 epochs, reach a test accuracy of 0.971 with the mlp, 0.981 with the cnn and
0.982 with the resnet on digits (mean of five folds, seed 0: benchmarks/results/objectives_2cores_202611.md).

A step is an epoch. Validation and test accuracy are the fractions of images whose highest output is that of the right class.
"""

from collections.abc import Mapping
from typing import Any

import torch

from objectives import command_line
from objectives.catalog import default_params, default_settings
from objectives.contract import DataProblem, Run
from objectives.data import files
from objectives.data.cifar import cifar10, cifar100
from objectives.data.digits import digits
from objectives.data.examples import Sets, on_device
from objectives.data.idx import idx
from objectives.data.image_folder import image_folder
from objectives.data.image_parquet import image_parquet
from objectives.data.notes import logged
from objectives.entries.image_classification import IMAGE_CLASSIFICATION
from objectives.models.cnn import cnn
from objectives.models.mlp import mlp, mlp_of
from objectives.models.resnet import resnet
from objectives.training.classification import classification
from objectives.training.devices import find_device
from objectives.training.supervised import SupervisedRun
from objectives.training.task import NewModel

MODELS: Mapping[str, NewModel] = {"mlp": mlp, "cnn": cnn, "resnet": resnet}
SMALLEST = {"mlp": 1, "cnn": 4, "resnet": 5}
"""Minimum height and width in pixels: models halve them twice, and the ResNet then normalizes over several positions."""


def start(params: Mapping[str, Any], settings: Mapping[str, Any], seed: int, device: str, threads: int) -> Run:
    """Start a run on `device` ("auto", "cpu", "cuda", ...) with `threads` CPU threads.

    Missing parameters and settings take the catalog's defaults. Raises DataProblem when they cannot be used for training.
    """
    torch.set_num_threads(threads)
    params = default_params(IMAGE_CLASSIFICATION) | dict(params)
    settings = default_settings(IMAGE_CLASSIFICATION) | dict(settings)
    place = find_device(device)
    data = on_device(logged(_sets(settings)), place)
    _check_size(data, settings)
    task = classification(data, params["loss"], params["label_smoothing"])
    model = mlp_of(settings) if settings["model"] == "mlp" else MODELS[settings["model"]]
    return SupervisedRun(task, data, model, params, settings, seed, place)


def _check_size(data: Sets, settings: Mapping[str, Any]) -> None:
    _, height, width = data.input_shape
    smallest = SMALLEST[settings["model"]]
    if min(height, width) < smallest:
        raise DataProblem(
            f"The {settings['model']} needs images of at least {smallest} pixels in height and width, those of"
            f" {settings['dataset']} are {height}x{width}: choose the model mlp, or a larger image_size."
        )


def _sets(settings: Mapping[str, Any]) -> Sets:
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


if __name__ == "__main__":
    command_line.main(IMAGE_CLASSIFICATION, start)

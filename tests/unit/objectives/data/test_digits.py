import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close

from objectives.data.digits import digits
from objectives.data.split import N_FOLDS, stratified_split
from objectives.training.sets import on_device
from tests.unit.objectives.rounding import roundings


@pytest.mark.parametrize("fold", range(N_FOLDS))
def test_the_three_sets_have_the_classes_in_the_same_proportions(fold: int) -> None:
    data = digits(fold)
    for part in (data.training, data.validation, data.test):
        shares = part.targets.bincount(minlength=10) / len(part)
        assert torch.allclose(shares, torch.full((10,), 0.1), atol=0.01)


def test_images_and_labels_belong_together() -> None:
    source = load_digits()
    part = stratified_split(source.target).validation
    mean, deviation = (float(f(source.data[stratified_split(source.target).training])) for f in (np.mean, np.std))
    images = torch.tensor(source.images[part], dtype=torch.float32)
    assert_close(digits().validation.inputs.squeeze(1) * deviation + mean, images, **roundings(8, of=images))
    assert digits().validation.targets.tolist() == source.target[part].tolist()


@pytest.mark.parametrize("fold", range(N_FOLDS))
def test_training_pixels_are_standardized(fold: int) -> None:
    images = digits(fold).training.inputs
    off = roundings(8, of=images)
    assert_close(images.mean(), torch.tensor(0.0), **off)
    assert_close(images.std(correction=0), torch.tensor(1.0), **off)


def test_the_shape_of_an_input_is_that_of_an_image() -> None:
    assert digits().input_shape == (1, 8, 8)
    assert digits().n_classes == 10


def test_sets_move_to_a_device_as_a_whole() -> None:
    moved = on_device(digits(), torch.device("meta"))
    parts = moved.training, moved.validation, moved.test
    assert {tensor.device.type for part in parts for tensor in vars(part).values()} == {"meta"}


def test_the_data_are_loaded_once_per_process() -> None:
    assert digits() is digits()

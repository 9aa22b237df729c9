import numpy as np
import torch
from sklearn.datasets import load_digits

from objectives.data.digits import digits
from objectives.data.split import stratified_split


def test_the_three_sets_are_disjoint_and_cover_every_image() -> None:
    labels = load_digits().target
    split = stratified_split(labels)
    positions = np.concatenate([split.training, split.validation, split.test])
    assert sorted(positions) == list(range(len(labels)))


def test_the_three_sets_have_the_classes_in_the_same_proportions() -> None:
    data = digits()
    for part in (data.training, data.validation, data.test):
        shares = part.labels.bincount(minlength=10) / len(part.labels)
        assert torch.allclose(shares, torch.full((10,), 0.1), atol=0.01)


def test_the_split_is_the_same_every_time() -> None:
    labels = load_digits().target
    assert np.array_equal(stratified_split(labels).test, stratified_split(labels).test)


def test_images_and_labels_belong_together() -> None:
    source = load_digits()
    part = stratified_split(source.target).validation
    mean, deviation = (float(f(source.data[stratified_split(source.target).training])) for f in (np.mean, np.std))
    images = torch.tensor(source.images[part], dtype=torch.float32)
    assert torch.allclose(digits().validation.images.squeeze(1) * deviation + mean, images, atol=1e-4)
    assert digits().validation.labels.tolist() == source.target[part].tolist()


def test_training_pixels_are_standardized() -> None:
    images = digits().training.images
    assert abs(images.mean().item()) < 1e-4
    assert abs(images.std().item() - 1) < 1e-3


def test_the_data_are_loaded_once_per_process() -> None:
    assert digits() is digits()

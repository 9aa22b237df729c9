from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from torch.testing import assert_close

from objectives.data.examples import Sets
from objectives.data.split import N_FOLDS, random_split, stratified_split
from objectives.data.standardize import image_sets, standardized_columns
from objectives.data.tables import breast_cancer, diabetes, wine
from tests.unit.objectives.rounding import roundings

each_fold = pytest.mark.parametrize("fold", range(N_FOLDS))
each_table = pytest.mark.parametrize(
    ("table", "n", "n_columns", "n_classes"), [(breast_cancer, 569, 30, 2), (wine, 178, 13, 3), (diabetes, 442, 10, None)]
)


@each_fold
@each_table
def test_a_table_has_its_published_size(
    table: Callable[[int], Sets], n: int, n_columns: int, n_classes: int | None, fold: int
) -> None:
    data = table(fold)
    assert sum(len(part) for part in (data.training, data.validation, data.test)) == n
    assert (data.input_shape, data.n_classes) == ((n_columns,), n_classes)


@each_fold
@each_table
def test_columns_are_standardized_by_the_training_part(
    table: Callable[[int], Sets], n: int, n_columns: int, n_classes: int | None, fold: int
) -> None:
    inputs = table(fold).training.inputs
    assert inputs.dtype is torch.float32
    assert_close(inputs.mean(dim=0), torch.zeros(n_columns), **roundings(8, of=inputs))
    assert_close(inputs.std(dim=0, correction=0), torch.ones(n_columns), **roundings(8, of=inputs))
    assert inputs.mean() != table(fold).test.inputs.mean()


def test_rows_and_values_belong_together() -> None:
    inputs, values = load_diabetes(return_X_y=True, scaled=False)
    split = random_split(len(values), 3)
    expected = torch.from_numpy(standardized_columns(inputs, split.training)[split.test])
    assert torch.equal(diabetes(3).test.inputs, expected)


@pytest.mark.parametrize(("table", "load"), [(breast_cancer, load_breast_cancer), (wine, load_wine)])
def test_rows_and_classes_belong_together(
    table: Callable[[int], Sets], load: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> None:
    inputs, labels = load(return_X_y=True)
    split = stratified_split(labels, 3)
    seen = inputs[split.training]
    expected = torch.tensor((inputs[split.test] - seen.mean(axis=0)) / seen.std(axis=0), dtype=torch.float32)
    assert_close(table(3).test.inputs, expected, **roundings(1, of=expected))
    assert table(3).test.targets.tolist() == labels[split.test].tolist()


@each_fold
def test_the_values_of_regression_come_back_in_their_own_unit(fold: int) -> None:
    _, values = load_diabetes(return_X_y=True)
    split, data = random_split(len(values), fold), diabetes(fold)
    back = data.test.targets * values[split.training].std() + values[split.training].mean()
    expected = torch.tensor(values[split.test], dtype=torch.float32)
    assert_close(back.float(), expected, **roundings(4, of=expected))
    assert data.training.targets.dtype is torch.float32


def test_what_is_constant_in_the_training_part_becomes_0_everywhere() -> None:
    # The deviation of these comes out as 1.4e-17.
    columns = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 3.0], [7.0, 4.0]])
    standardized = standardized_columns(columns, np.arange(3))
    assert standardized[:, 0].tolist() == [0, 0, 0, 0]
    expected = torch.tensor((np.arange(4) - 1) / np.sqrt(2 / 3), dtype=torch.float32)
    assert_close(torch.from_numpy(standardized[:, 1]), expected, **roundings(1, of=expected))


def test_images_are_standardized_per_channel_and_a_constant_channel_becomes_0() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 4), dtype=np.uint8)
    labels = np.arange(50) % 2
    split = stratified_split(labels)
    pixels[split.training, 2] = 200
    data = image_sets(pixels, labels, split, 2)
    for channel in (0, 1):
        seen = pixels[split.training, channel].astype(np.float64)
        expected = torch.tensor((pixels[split.test, channel] - seen.mean()) / seen.std(), dtype=torch.float32)
        # Off by what rounds a mean or a deviation of pixels, which go up to 255.
        off = roundings(8, of=255 / seen.std())
        assert_close(data.test.inputs[:, channel], expected, **off)
        assert_close(data.training.inputs[:, channel].mean(), torch.tensor(0.0), **off)
    assert not any(part.inputs[:, 2].any() for part in (data.training, data.validation, data.test))
    assert data.test.targets.tolist() == labels[split.test].tolist()

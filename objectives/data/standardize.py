"""Standardizes inputs and targets to mean 0 and standard deviation 1, measured on the training set and applied to all three sets.

A column or channel that is constant in the training set becomes 0: nothing can be learned from it.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from objectives.data.examples import Examples, Sets
from objectives.data.split import Split

SMALLEST = 1e-100
"""The squares of smaller numbers may be rounded to 0, so that a column that varies would seem to have no deviation."""


def standardized_columns(columns: NDArray[np.float64], training: NDArray[np.int64]) -> NDArray[np.float32]:
    """Standardize each column of (n, columns) by the mean and standard deviation of its rows `training`."""
    seen = columns[training]
    varies = seen.min(axis=0) != seen.max(axis=0)
    if (tiny := varies & (np.abs(seen).max(axis=0) < SMALLEST)).any():
        # Exactly: a power of two.
        columns = columns * np.where(tiny, 2.0**1000, 1.0)
        seen = columns[training]
    # By rounding, the standard deviation of equal numbers may be slightly above zero.
    deviations = np.where(varies, seen.std(axis=0), np.inf)
    standardized: NDArray[np.float32] = ((columns - seen.mean(axis=0)) / deviations).astype(np.float32)
    return standardized


def image_sets(pixels: NDArray[np.uint8] | NDArray[np.uint16], labels: NDArray[np.int64], split: Split, n_classes: int) -> Sets:
    """Images (n, channels, height, width) and their labels (n,) as sets; each channel is standardized."""
    parts = [Examples(inputs=torch.from_numpy(pixels[part]).float(), targets=torch.from_numpy(labels[part])) for part in split]
    seen = parts[0].inputs
    deviation, mean = torch.std_mean(seen, dim=(0, 2, 3), correction=0, keepdim=True)
    varies = seen.amin(dim=(0, 2, 3), keepdim=True) != seen.amax(dim=(0, 2, 3), keepdim=True)
    deviation[~varies] = torch.inf
    for part in parts:
        # In place: a copy of CIFAR's training images would take another 500 MB.
        part.inputs.sub_(mean).div_(deviation)
    training, validation, test = parts
    return Sets(training=training, validation=validation, test=test, n_classes=n_classes)


def classification_sets(inputs: NDArray[np.float32], labels: NDArray[np.int64], split: Split, n_classes: int) -> Sets:
    """Inputs (n, columns), standardized already, and labels (n,) as sets."""
    training, validation, test = _parts(inputs, labels, split)
    return Sets(training=training, validation=validation, test=test, n_classes=n_classes)


def regression_sets(inputs: NDArray[np.float32], values: NDArray[np.float64], split: Split) -> Sets:
    """Inputs (n, columns), standardized already, and values (n,), which are standardized here, as sets."""
    training, validation, test = _parts(inputs, standardized_columns(values[:, None], split.training).squeeze(1), split)
    return Sets(training=training, validation=validation, test=test, n_classes=None)


def _parts(inputs: NDArray[Any], targets: NDArray[Any], split: Split) -> list[Examples]:
    return [Examples(inputs=torch.from_numpy(inputs[part]), targets=torch.from_numpy(targets[part])) for part in split]

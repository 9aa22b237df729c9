"""Handwritten digits, 8x8 pixels in 17 grey levels: the 1,797 images bundled with scikit-learn.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (1998), https://doi.org/10.24432/C50P49
(its test set).
"""

from functools import cache

import torch

from objectives.data import bundled
from objectives.data.examples import Examples, Sets
from objectives.data.split import stratified_split


@cache
def digits(fold: int = 0) -> Sets:
    """The three sets, cached per process and fold. Pixels are standardized by the training set's mean and standard deviation."""
    pixels, labels = bundled.labelled("digits.csv.gz")
    split = stratified_split(labels, fold, source="digits")
    mean, deviation = pixels[split.training].mean(), pixels[split.training].std()
    inputs = torch.tensor((pixels - mean) / deviation, dtype=torch.float32).reshape(-1, 1, 8, 8)
    targets = torch.tensor(labels)
    training, validation, test = (Examples(inputs=inputs[part], targets=targets[part]) for part in split)
    return Sets(training=training, validation=validation, test=test, n_classes=10)


@cache
def some_digits(first: int, last: int, fold: int = 0) -> Sets:
    """Of the three sets of all digits those from `first` to `last`, which are the classes from 0 on."""
    every = digits(fold)
    training, validation, test = (
        Examples(inputs=part.inputs[chosen], targets=part.targets[chosen] - first)
        for part in (every.training, every.validation, every.test)
        for chosen in [(part.targets >= first) & (part.targets <= last)]
    )
    return Sets(training=training, validation=validation, test=test, n_classes=last - first + 1)

"""Training, validation and test sets that are the same in every run.

Examples are shuffled once, with a seed of their own, into five folds: fold k is the test set, the next one (after the
last the first) validation, and the other three are trained on. With k from 0 to 4 every example is tested on once.

The folds are those of scikit-learn's KFold and StratifiedKFold (shuffle=True, random_state=0), which take longer to import
than to find.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem

N_FOLDS = 5
SPLIT_SEED = 0
"""Of the split alone: runs with different training seeds must be measured on the same examples."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Positions of examples; every example is in exactly one of the three."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Training, validation, test."""
        return iter((self.training, self.validation, self.test))


def stratified_split(
    labels: NDArray[np.int64], fold: int = 0, *, source: object = "the data", classes: Sequence[str] | None = None
) -> Split:
    """Split examples so that each part has the classes in the same proportions: 3 folds of 5, 1 and 1.

    Labels are (n,). Raises DataProblem, which names `source` and the class, unless there are two classes or more with
    five examples each. `classes` names the labels, which otherwise stand for themselves.
    """
    test, validation, *training = _stratified_folds(labels, fold, source, classes)
    return Split(training=np.concatenate(training), validation=validation, test=test)


def random_split(n: int, fold: int = 0, *, source: object = "the data") -> Split:
    """Split n examples without classes: 3 folds of 5, 1 and 1. Raises DataProblem, which names `source`, below five."""
    if n < N_FOLDS:
        raise DataProblem(f"There are too few examples for five folds in {source}: {n}, where at least 5 are needed.")
    parts = np.array_split(np.random.RandomState(SPLIT_SEED).permutation(n), N_FOLDS)
    test, validation, *training = _rotated([np.sort(part) for part in parts], fold)
    return Split(training=np.concatenate(training), validation=validation, test=test)


def complete_split(
    labels: NDArray[np.int64],
    fold: int = 0,
    *,
    n_validation: int,
    n_test: int,
    source: object = "the data",
    classes: Sequence[str] | None = None,
) -> Split:
    """Split examples of which the last n_test are the test set already, and the n_validation before them validation.

    Where only one of the two is given, the other is fold k of the rest; where none is, this is `stratified_split`; where
    both are, the fold changes nothing. Raises DataProblem as `stratified_split` does, about the rest.
    """
    n_rest = len(labels) - n_validation - n_test
    if not n_validation and not n_test:
        return stratified_split(labels, fold, source=source, classes=classes)
    rest, validation, test = np.split(np.arange(len(labels)), [n_rest, n_rest + n_validation])
    if n_validation and n_test:
        _check_classes(labels[:n_rest], 1, source, classes)
        return Split(training=rest, validation=validation, test=test)
    cut, *others = _stratified_folds(labels[:n_rest], fold, source, classes)
    training = np.sort(np.concatenate(others))
    if n_test:
        return Split(training=training, validation=cut, test=test)
    return Split(training=training, validation=validation, test=cut)


def _stratified_folds(
    labels: NDArray[np.int64], fold: int, source: object, classes: Sequence[str] | None
) -> list[NDArray[np.int64]]:
    _check_classes(labels, N_FOLDS, source, classes)
    shuffle = np.random.RandomState(SPLIT_SEED).shuffle
    fold_of = np.empty(len(labels), dtype=np.int64)
    n_dealt = 0
    for first in np.sort(np.unique(labels, return_index=True)[1]):
        members = np.flatnonzero(labels == labels[first])
        # Dealt in turn, each class from where the one before ended: the folds' sizes differ by one at most.
        dealt = np.sort((n_dealt + np.arange(len(members))) % N_FOLDS)
        shuffle(dealt)
        fold_of[members] = dealt
        n_dealt += len(members)
    return _rotated([np.flatnonzero(fold_of == number) for number in range(N_FOLDS)], fold)


def _rotated(folds: list[NDArray[np.int64]], fold: int) -> list[NDArray[np.int64]]:
    """The five folds, beginning with `fold`."""
    if fold not in range(N_FOLDS):
        raise DataProblem(f"fold is {fold}, but data are split into folds 0 to {N_FOLDS - 1}.")
    return folds[fold:] + folds[:fold]


def _check_classes(labels: NDArray[np.int64], n_needed: int, source: object, classes: Sequence[str] | None) -> None:
    if not len(labels):
        raise DataProblem(f"There are no examples to train on in {source}.")
    present, counts = np.unique(labels, return_counts=True)
    names = [repr(classes[label]) if classes else str(label) for label in present]
    if len(present) == 1:
        raise DataProblem(f"There is one class only in {source}, {names[0]}: classification needs two or more.")
    rarest = int(counts.argmin())
    if counts[rarest] < n_needed:
        raise DataProblem(
            f"Class {names[rarest]} in {source} has too few examples for five folds: {counts[rarest]}, where at least"
            f" {n_needed} are needed."
        )

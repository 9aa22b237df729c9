"""Training, validation and test sets that are the same in every run.

Examples are shuffled once, with a fixed seed, into five folds. Fold k is the test set, the next one (cyclically) the validation
set, and the other three are the training set. Over k from 0 to 4 every example is in the test set once.

The folds equal those of scikit-learn's KFold and StratifiedKFold (shuffle=True, random_state=0). They are computed here because
importing scikit-learn takes longer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem

N_FOLDS = 5
SPLIT_SEED = 0
"""Fixed, and independent of the training seed: all runs must be measured on the same examples."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Positions of the examples of each set, (n,); no example is in two of the three."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        """Training, validation, test."""
        return iter((self.training, self.validation, self.test))


def stratified_split(
    labels: NDArray[np.int64], fold: int = 0, *, source: object = "the data", classes: Sequence[str] | None = None
) -> Split:
    """Split examples into sets of 3, 1 and 1 folds, each with the same proportions of classes.

    Labels are (n,). Raises DataProblem, which names `source` and the class, unless there are at least two classes, with at least
    five examples each. `classes` gives the names of the labels for messages; None: the labels themselves.
    """
    test, validation, *training = _stratified_folds(labels, fold, source, classes)
    return Split(training=np.concatenate(training), validation=validation, test=test)


def random_split(n: int, fold: int = 0, *, source: object = "the data") -> Split:
    """Split n examples into sets of 3, 1 and 1 folds. Raises DataProblem, which names `source`, for fewer than five."""
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
    """Complete a split: the last n_test examples are the test set, and the n_validation examples before them the validation set.

    If only one of the two is given, the other is fold k of the rest. If neither is, this is `stratified_split`. If both are, the
    fold has no effect. Raises DataProblem for the rest, as `stratified_split` does.
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
        # Folds are assigned in turn, each class starting where the last one ended: fold sizes differ by one at most.
        dealt = np.sort((n_dealt + np.arange(len(members))) % N_FOLDS)
        shuffle(dealt)
        fold_of[members] = dealt
        n_dealt += len(members)
    return _rotated([np.flatnonzero(fold_of == number) for number in range(N_FOLDS)], fold)


def _rotated(folds: list[NDArray[np.int64]], fold: int) -> list[NDArray[np.int64]]:
    """The five folds, beginning with `fold`. Raises DataProblem when there is no such fold."""
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

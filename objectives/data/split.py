"""Training, validation and test sets that are the same in every run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

N_FOLDS = 5
SPLIT_SEED = 0
"""Of the split alone: runs with different training seeds must be measured on the same examples."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Positions of examples; every example is in exactly one of the three."""

    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def stratified_split(labels: NDArray[np.int64]) -> Split:
    """Split examples so that each part has the classes in the same proportions: 3 folds of 5, 1 and 1.

    Labels are (n,), each class at least five times.
    """
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=SPLIT_SEED)
    test, validation, *training = (fold for _, fold in folds.split(labels, labels))
    return Split(training=np.concatenate(training), validation=validation, test=test)

"""The adding and the copying problem: what stands at the beginning of a sequence is asked for at its end.

The sequences are drawn, the same in every run. Another fold is another draw of all three sets.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from objectives.data.examples import Examples, Sets
from objectives.data.files import KEPT

N_TRAINING = 10_000
N_OTHERS = 1_000
"""Of the validation and of the test set, each."""

N_SYMBOLS = 8
BLANK, DELIMITER = N_SYMBOLS, N_SYMBOLS + 1
N_TOKENS = N_SYMBOLS + 2
N_COPIED = 10
"""Symbols at the beginning of a sequence of the copying problem, and blanks at its end."""

Draw = Callable[[np.random.RandomState, int, int], tuple[Tensor, Tensor]]
"""Maps a generator, a number of sequences and their length to inputs and targets."""


@lru_cache(maxsize=KEPT)
def long_range(problem: str, length: int, fold: int = 0) -> Sets:
    """The three sets of a problem, as `adding` or `copying` has them."""
    generator = np.random.RandomState(fold)
    training, validation, test = (
        Examples(inputs=inputs, targets=targets)
        for inputs, targets in (DRAWS[problem](generator, n, length) for n in (N_TRAINING, N_OTHERS, N_OTHERS))
    )
    return Sets(training=training, validation=validation, test=test, n_classes=N_SYMBOLS if problem == "copying" else None)


def adding(generator: np.random.RandomState, n: int, length: int) -> tuple[Tensor, Tensor]:
    """Numbers with two of them marked, (n, length, 2), and the sum of these two, (n,).

    Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), section 5.4, as Le et al., "A Simple Way to Initialize Recurrent
    Networks of Rectified Linear Units" (2015), section 4.1, https://arxiv.org/abs/1504.00941, have it: numbers are uniform in
    [0, 1), one is marked in each half of the sequence. Answering with 1 has a mean squared error of 1/6.
    """
    numbers = generator.random_sample((n, length))
    rows = np.arange(n)
    first, second = generator.randint(length // 2, size=n), generator.randint(length // 2, length, size=n)
    marks = np.zeros((n, length))
    marks[rows, first] = marks[rows, second] = 1.0
    inputs = torch.tensor(np.stack([numbers, marks], axis=2), dtype=torch.float32)
    return inputs, torch.tensor(numbers[rows, first] + numbers[rows, second], dtype=torch.float32)


def copying(generator: np.random.RandomState, n: int, length: int) -> tuple[Tensor, Tensor]:
    """Tokens, (n, length + 2 * N_COPIED), and those of them that are to be copied, (n, N_COPIED).

    Arjovsky et al., "Unitary Evolution Recurrent Neural Networks" (2016), section 4.1, https://arxiv.org/abs/1511.06464: symbols,
    length - 1 blanks, a delimiter, and a blank for each symbol, where the outputs are to be the symbols. Deviation: what is
    predicted before is not asked for, so that answering at random has a cross-entropy of log(N_SYMBOLS) at any length.
    """
    symbols = generator.randint(N_SYMBOLS, size=(n, N_COPIED))
    inputs = np.full((n, length + 2 * N_COPIED), BLANK)
    inputs[:, :N_COPIED] = symbols
    inputs[:, N_COPIED + length - 1] = DELIMITER
    return torch.tensor(inputs), torch.tensor(symbols)


DRAWS: Mapping[str, Draw] = {"adding": adding, "copying": copying}

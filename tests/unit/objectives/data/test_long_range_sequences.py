"""The adding and the copying problem: what the sequences hold."""

import numpy as np
import torch

from objectives.data.long_range import BLANK, DELIMITER, N_COPIED, N_SYMBOLS, adding, copying, long_range


def test_a_sum_is_that_of_two_marked_numbers_one_in_each_half() -> None:
    inputs, sums = adding(np.random.RandomState(0), 200, 11)
    numbers, marks = inputs.unbind(dim=2)
    assert set(marks.unique().tolist()) == {0.0, 1.0}
    assert (marks[:, :5].sum(dim=1) == 1).all()
    assert (marks[:, 5:].sum(dim=1) == 1).all()
    assert (marks.sum(dim=0) > 0).all()
    torch.testing.assert_close((numbers * marks).sum(dim=1), sums)
    assert 0 <= numbers.min() < 0.01 < 0.99 < numbers.max() <= 1


def test_symbols_are_followed_by_a_pause_a_delimiter_and_as_many_blanks() -> None:
    tokens, symbols = copying(np.random.RandomState(0), 50, 4)
    assert tokens.shape == (50, 4 + 2 * N_COPIED)
    assert torch.equal(tokens[:, :N_COPIED], symbols)
    assert symbols.unique().tolist() == list(range(N_SYMBOLS))
    pause = [BLANK, BLANK, BLANK, DELIMITER, *[BLANK] * N_COPIED]
    assert tokens[:, N_COPIED:].tolist() == [pause] * 50


def test_sets_and_folds_share_no_sequence() -> None:
    folds = [long_range("adding", 2, fold) for fold in (0, 1)]
    parts = [part.inputs for sets in folds for part in (sets.training, sets.validation, sets.test)]
    assert list(map(len, parts)) == [10_000, 1_000, 1_000] * 2
    assert len({tuple(row) for part in parts for row in part.flatten(1).tolist()}) == 24_000

import re
from hashlib import sha256

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold, StratifiedKFold

from objectives.contract import DataProblem
from objectives.data.split import N_FOLDS, Split, complete_split, random_split, stratified_split

LABELS = np.repeat(np.arange(3), [10, 15, 25])

each_fold = pytest.mark.parametrize("fold", range(N_FOLDS))


def fingerprint(positions: NDArray[np.int64]) -> str:
    return sha256(positions.astype("<i8").tobytes()).hexdigest()[:16]


def split_of_fifty(how: str, fold: int) -> Split:
    return stratified_split(LABELS, fold) if how == "stratified" else random_split(50, fold)


def test_the_split_of_digits_is_the_one_that_every_recorded_result_was_measured_on() -> None:
    found = [fingerprint(part) for part in stratified_split(load_digits().target)]
    assert found == ["7cf5a6aab7b60586", "fa5f2bd76e7bfcd9", "efb17ee33774df81"]


@each_fold
@pytest.mark.parametrize("how", ["stratified", "random"])
def test_the_three_parts_are_disjoint_and_cover_every_example(how: str, fold: int) -> None:
    split = split_of_fifty(how, fold)
    assert sorted(np.concatenate(list(split))) == list(range(50))
    assert [len(part) for part in split] == [30, 10, 10]


@pytest.mark.parametrize("how", ["stratified", "random"])
def test_over_the_folds_every_example_is_tested_on_once(how: str) -> None:
    splits = [split_of_fifty(how, fold) for fold in range(N_FOLDS)]
    assert sorted(np.concatenate([split.test for split in splits])) == list(range(50))
    for fold, split in enumerate(splits):
        assert np.array_equal(split.validation, splits[(fold + 1) % N_FOLDS].test)


@pytest.mark.parametrize("how", ["stratified", "random"])
def test_the_split_is_the_same_every_time_and_shuffled(how: str) -> None:
    assert np.array_equal(split_of_fifty(how, 0).test, split_of_fifty(how, 0).test)
    assert np.any(np.diff(split_of_fifty(how, 0).test) != 1)


@each_fold
def test_each_part_has_the_classes_in_the_same_proportions(fold: int) -> None:
    for part, parts in zip(stratified_split(LABELS, fold), (3, 1, 1), strict=True):
        assert np.bincount(LABELS[part]).tolist() == [2 * parts, 3 * parts, 5 * parts]


@each_fold
def test_a_given_test_set_stays_the_test_set(fold: int) -> None:
    split = complete_split(np.concatenate([LABELS, [0, 1, 2, 0]]), fold, n_validation=0, n_test=4)
    assert split.test.tolist() == [50, 51, 52, 53]
    assert sorted([*split.training, *split.validation]) == list(range(50))
    assert np.bincount(LABELS[split.validation]).tolist() == [2, 3, 5]


def test_the_fold_chooses_the_validation_set_beside_a_given_test_set() -> None:
    labels = np.concatenate([LABELS, [0, 1]])
    validations = [complete_split(labels, fold, n_validation=0, n_test=2).validation for fold in range(N_FOLDS)]
    assert sorted(np.concatenate(validations)) == list(range(50))


@each_fold
def test_beside_a_given_validation_set_the_test_set_is_cut_from_training(fold: int) -> None:
    split = complete_split(np.concatenate([LABELS, [0, 1]]), fold, n_validation=2, n_test=0)
    assert split.validation.tolist() == [50, 51]
    assert np.bincount(LABELS[split.test]).tolist() == [2, 3, 5]
    assert sorted([*split.training, *split.test]) == list(range(50))


def test_three_given_parts_stay_as_they_are() -> None:
    split = complete_split(np.array([0, 1, 0, 1, 1]), n_validation=2, n_test=1)
    assert [part.tolist() for part in split] == [[0, 1], [2, 3], [4]]


def test_without_given_parts_the_split_is_stratified() -> None:
    for given, cut in zip(complete_split(LABELS, 2, n_validation=0, n_test=0), stratified_split(LABELS, 2), strict=True):
        assert np.array_equal(given, cut)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([], "There are no examples to train on in x.csv."),
        ([1] * 9, "There is one class only in x.csv, 'dog': classification needs two or more."),
        ([0] * 9 + [1] * 4, "Class 'dog' in x.csv has too few examples for five folds: 4, where at least 5 are needed."),
    ],
)
@pytest.mark.parametrize("n_test", [0, 2])
def test_classes_that_cannot_be_split_are_refused_by_name(labels: list[int], sentence: str, n_test: int) -> None:
    given = np.array(labels + [0] * n_test, dtype=np.int64)
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence)}$"):
        complete_split(given, n_validation=0, n_test=n_test, source="x.csv", classes=["cat", "dog"])


def test_a_class_without_a_name_stands_for_itself() -> None:
    with pytest.raises(DataProblem, match=r"^Class 7 in the data has too few"):
        stratified_split(np.array([7, *[2] * 5]))


def test_fewer_than_five_examples_are_refused() -> None:
    sentence = "There are too few examples for five folds in x.csv: 4, where at least 5 are needed."
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence)}$"):
        random_split(4, source="x.csv")


@pytest.mark.parametrize("fold", [-1, 5])
def test_a_fold_that_there_is_not_is_refused(fold: int) -> None:
    with pytest.raises(DataProblem, match=rf"^fold is {fold}, but data are split into folds 0 to 4\.$"):
        random_split(50, fold)


@pytest.mark.parametrize("n", [5, 9, 50, 442])
def test_the_folds_are_those_of_scikit_learn(n: int) -> None:
    theirs = [fold for _, fold in KFold(N_FOLDS, shuffle=True, random_state=0).split(np.empty(n))]
    assert all(np.array_equal(random_split(n, fold).test, theirs[fold]) for fold in range(N_FOLDS))


@pytest.mark.parametrize("counts", [(5, 5), (7, 31), (10, 15, 26), (6, 5, 8, 113), tuple(range(5, 40))])
@pytest.mark.parametrize("ordered", [True, False])
def test_the_stratified_folds_are_those_of_scikit_learn(counts: tuple[int, ...], ordered: bool) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    if not ordered:
        np.random.default_rng(1).shuffle(labels)
    theirs = [fold for _, fold in StratifiedKFold(N_FOLDS, shuffle=True, random_state=0).split(labels, labels)]
    assert all(np.array_equal(stratified_split(labels, fold).test, theirs[fold]) for fold in range(N_FOLDS))

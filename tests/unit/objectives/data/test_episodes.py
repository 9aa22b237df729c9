import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives.contract import DataProblem
from objectives.data import bundled, few_shot_digits
from objectives.data.episodes import Episodes, EpisodeSets, joined
from objectives.data.sinusoids import sinusoids

DIGITS = few_shot_digits.few_shot_digits(4, ways=3, shots=2)


def parts(sets: EpisodeSets) -> list[Episodes]:
    return [sets.training, sets.validation, sets.test]


def all_inputs(episodes: Episodes) -> Tensor:
    return episodes.with_queries_in_support().support_inputs


def test_a_sinusoids_points_lie_on_one_curve() -> None:
    test = sinusoids(1, shots=5).test.with_queries_in_support()
    for places, values in zip(test.support_inputs.squeeze(2).double(), test.support_targets.double(), strict=True):
        assert places.abs().max() <= 5
        sines = torch.stack([places.sin(), places.cos()], dim=1)
        found = torch.linalg.lstsq(sines, values.unsqueeze(1)).solution
        assert torch.allclose(sines @ found, values.unsqueeze(1), atol=1e-4)
        assert 0.1 - 1e-3 <= found.norm() <= 5 + 1e-3


def test_the_same_curves_are_asked_whatever_the_shots_and_others_in_every_fold() -> None:
    assert not torch.equal(sinusoids(0, shots=5).test.query_targets, sinusoids(1, shots=5).test.query_targets)
    first = sinusoids(0, shots=5)
    assert first.validation.support_targets.shape == (100, 5)
    assert first.test.query_inputs.shape == (100, 20, 1)
    sinusoids.cache_clear()
    assert torch.equal(sinusoids(0, shots=5).training.support_inputs, first.training.support_inputs)


def test_an_episodes_examples_come_in_rounds_of_its_classes() -> None:
    for part in parts(DIGITS):
        assert part.support_targets[0].tolist() == [0, 1, 2] * 2
        assert part.query_targets.tolist() == [[0, 1, 2] * 10] * len(part)
        assert part.support_inputs.shape == (len(part), 6, 144)


def known(image: NDArray[np.float32]) -> bytes:
    """The image without its margins."""
    inked = np.argwhere(image > 0)
    (top, left), (bottom, right) = inked.min(axis=0), inked.max(axis=0)
    cut = image[top : bottom + 1, left : right + 1]
    return str(cut.shape).encode() + cut.tobytes()


@pytest.fixture(scope="module")
def turned() -> dict[bytes, tuple[int, int, int]]:
    """By image of the data in each of its turns: its number, digit, and quarter turns."""
    pixels, labels = bundled.labelled("digits.csv.gz")
    images = (pixels / 16).astype(np.float32).reshape(-1, 8, 8)
    return {
        known(np.rot90(image, turns)): (number, int(labels[number]), turns)
        for number, image in enumerate(images)
        for turns in range(4)
    }


def test_the_sets_share_no_digit_and_a_class_is_one_digit_in_one_turn(turned: dict[bytes, tuple[int, int, int]]) -> None:
    """And no two classes of an episode are half a turn apart."""
    digits: list[set[int]] = []
    for part in parts(DIGITS):
        digits.append(set())
        for frames in all_inputs(part)[:30].reshape(-1, 12, 3, 12, 12).numpy():
            found = [[turned[known(frame)] for frame in frames[:, way]] for way in range(3)]
            assert all(len({number for number, _, _ in of_class}) == 12 for of_class in found)
            classes = [{(digit, turns) for _, digit, turns in of_class} for of_class in found]
            assert [len(each) for each in classes] == [1, 1, 1]
            assert len({(digit, turns % 2) for each in classes for digit, turns in each}) == 3
            digits[-1] |= {digit for each in classes for digit, _ in each}
    assert digits == [{1, 2, 3, 4, 5, 8}, {0, 7}, {6, 9}]


def test_a_fold_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataProblem, match=r"^fold is 5, but digits are split into folds 0 to 4\.$"):
        few_shot_digits.few_shot_digits(5)


def test_episodes_are_cut_and_joined() -> None:
    test = DIGITS.test
    both = joined([test.first(2), test.first(3)])
    assert len(both) == 5
    assert torch.equal(both.query_inputs[2:], test.query_inputs[:3])

"""Handwritten digits as few-shot classification: to tell a few digits apart, turned, and lying anywhere in a frame.

Source: the 1,797 images of `objectives/data/digits.py`. Each digit makes four classes by turns of 90 degrees, as Omniglot's
characters do (Santoro et al. 2016, https://arxiv.org/abs/1605.06065): 24 classes of six digits to train on, 8 of two others for
validation, and 8 of the last two for the test. So the sets share no image and no digit, turned or not; 6 and 9, which are turns
of each other, are in the same one. Two classes of an episode are never half a turn apart: nobody could tell those of 0, 1 and 8.

Each image lies at a random place of a larger frame, as in translated MNIST (Jaderberg et al. 2015,
https://arxiv.org/abs/1506.02025). In the middle of the frame, the network from scratch needs nothing that other classes could
teach: of four classes and five shots it got all but 0.3% right.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data import bundled
from objectives.data.episodes import Episodes, EpisodeSets

DIGITS_OF_FOLDS = ((0, 7), (1, 5), (2, 8), (3, 4), (6, 9))
"""Fold k is the test set, the next one (cyclically) the validation set."""
N_TRAINING, N_EVALUATED = 1_000, 100
QUERIES = 10
"""Of each class."""
SIDE = 12
"""Of the frame, in pixels: an image of 8x8 lies anywhere in it."""


@lru_cache(maxsize=2)
def few_shot_digits(fold: int = 0, *, ways: int = 4, shots: int = 10) -> EpisodeSets:
    """The three sets, of episodes with `ways` classes, at most 4, and `shots` images of each to adapt to.

    Inputs are (episodes, images, pixels of a frame), from 0 to 1. Classes are numbered at random in each episode.
    """
    if fold not in range(len(DIGITS_OF_FOLDS)):
        raise DataProblem(f"fold is {fold}, but digits are split into folds 0 to {len(DIGITS_OF_FOLDS) - 1}.")
    pixels, labels = bundled.labelled("digits.csv.gz")
    test, validation, *others = DIGITS_OF_FOLDS[fold:] + DIGITS_OF_FOLDS[:fold]
    training = tuple(digit for pair in others for digit in pair)
    images = (pixels / 16).astype(np.float32).reshape(-1, 8, 8)
    sets = [
        _drawn(np.random.RandomState([fold, part]), n, [images[labels == digit] for digit in digits], ways, shots)
        for part, (digits, n) in enumerate(((training, N_TRAINING), (validation, N_EVALUATED), (test, N_EVALUATED)))
    ]
    return EpisodeSets(training=sets[0], validation=sets[1], test=sets[2])


def _drawn(draws: np.random.RandomState, n: int, by_digit: Sequence[NDArray[np.float32]], ways: int, shots: int) -> Episodes:
    """by_digit: the images of each digit, (images, 8, 8)."""
    inputs = np.zeros((n, shots + QUERIES, ways, SIDE, SIDE), dtype=np.float32)
    for episode in inputs:
        upright_or_lying = draws.permutation(2 * len(by_digit))
        for way in range(ways):
            digit, is_lying = divmod(int(upright_or_lying[way]), 2)
            chosen = by_digit[digit][draws.permutation(len(by_digit[digit]))[: shots + QUERIES]]
            turned = np.rot90(chosen, is_lying + 2 * draws.randint(2), axes=(1, 2))
            places = draws.randint(SIDE - 8 + 1, size=(len(turned), 2))
            for frame, image, (top, left) in zip(episode[:, way], turned, places, strict=True):
                frame[top : top + 8, left : left + 8] = image
    examples = torch.from_numpy(inputs.reshape(n, -1, SIDE * SIDE))
    classes = torch.arange(ways).repeat(n, shots + QUERIES)
    n_support = shots * ways
    return Episodes(
        support_inputs=examples[:, :n_support],
        support_targets=classes[:, :n_support],
        query_inputs=examples[:, n_support:],
        query_targets=classes[:, n_support:],
    )

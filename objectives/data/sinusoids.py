"""Sine curves as few-shot regression: an episode is one curve, to be continued from a few of its points.

Source: Finn et al., "Model-Agnostic Meta-Learning" (2017), section 5.1, https://arxiv.org/abs/1703.03400: amplitudes from 0.1 to
5, phases from 0 to pi, inputs from -5 to 5, all uniform. Curves are drawn once, with the fold as the seed, instead of anew in
every update: all runs are measured on the same ones.
"""

from functools import lru_cache

import numpy as np
import torch

from objectives.data.episodes import Episodes, EpisodeSets

N_TRAINING, N_EVALUATED = 2_000, 100
QUERIES = 20
"""Points of a curve that a learner is judged by."""


@lru_cache(maxsize=2)
def sinusoids(fold: int = 0, *, shots: int = 10) -> EpisodeSets:
    """The three sets; shots: points of a curve to adapt to. Inputs are (curves, points, 1), targets (curves, points)."""
    training, validation, test = (
        _drawn(np.random.RandomState([fold, part]), n, shots) for part, n in enumerate((N_TRAINING, N_EVALUATED, N_EVALUATED))
    )
    return EpisodeSets(training=training, validation=validation, test=test)


def _drawn(draws: np.random.RandomState, n: int, shots: int) -> Episodes:
    amplitudes, phases = draws.uniform(0.1, 5, (n, 1)), draws.uniform(0, np.pi, (n, 1))
    places = draws.uniform(-5, 5, (n, shots + QUERIES))
    inputs = torch.tensor(places, dtype=torch.float32).unsqueeze(2)
    targets = torch.tensor(amplitudes * np.sin(places - phases), dtype=torch.float32)
    return Episodes(
        support_inputs=inputs[:, :shots],
        support_targets=targets[:, :shots],
        query_inputs=inputs[:, shots:],
        query_targets=targets[:, shots:],
    )

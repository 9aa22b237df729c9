import math
from functools import partial
from math import inf, log, nan

import pytest

from objectives.contract import Divergence
from objectives.diagnosis.divergence import FAR, FAR_FROM_FIRST, LIMIT, find_blow_up, find_divergence

GUESSING = log(10)

find_in_second_of_four_epochs = partial(find_divergence, guessing_loss=GUESSING, epoch=2, epochs=4, updates_per_epoch=5)


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param([0.5, 0.4, 0.3, 0.2, 0.1], id="learns"),
        pytest.param([GUESSING + 0.2] * 5, id="learns nothing"),
        pytest.param([30.0, 8.0, 3.0, 2.0, 1.0], id="recovers from a jump"),
    ],
)
def test_a_run_near_or_below_the_loss_of_guessing_has_not_diverged(losses: list[float]) -> None:
    assert find_in_second_of_four_epochs(losses, losses[-1]) is None


@pytest.mark.parametrize("loss", [inf, nan])
def test_a_training_loss_that_is_not_finite_is_divergence_at_its_update(loss: float) -> None:
    assert find_in_second_of_four_epochs([1.0, 2.0, loss, nan, nan], nan) == Divergence(
        reason=f"training loss became {loss} at update 3 of epoch 2", update=8, fraction=8 / 20
    )


def test_a_validation_loss_that_is_not_finite_is_divergence_at_the_end_of_the_epoch() -> None:
    assert find_in_second_of_four_epochs([1.0] * 5, inf) == Divergence(
        reason="validation loss became inf in epoch 2", update=10, fraction=0.5
    )
    words = {"step_word": "iteration", "observed_name": "negative mean return"}
    assert find_in_second_of_four_epochs([1.0] * 5, nan, **words) == Divergence(
        reason="negative mean return became nan in iteration 2", update=10, fraction=0.5
    )


def test_an_update_that_could_not_be_made_is_divergence_at_it_unless_the_loss_was_not_finite_before() -> None:
    overflow = "learning_rate was 1e+39"
    assert find_in_second_of_four_epochs([1.0, 2.0], 1.0, overflow=overflow) == Divergence(
        reason="learning_rate was 1e+39 at update 2 of epoch 2", update=7, fraction=7 / 20
    )
    divergence = find_in_second_of_four_epochs([1.0, inf], nan, overflow=overflow)
    assert divergence is not None
    assert divergence.reason == "training loss became inf at update 2 of epoch 2"


def test_a_mean_loss_beyond_the_limit_is_divergence_even_when_the_network_is_dead_by_then() -> None:
    divergence = find_in_second_of_four_epochs([1e6, 1e3, GUESSING, GUESSING, GUESSING], GUESSING)
    assert divergence is not None
    assert divergence.update == 10
    assert divergence.reason == "mean training loss was 2e+05 in epoch 2, above 5 times the loss of guessing, 2.3"


def test_a_mean_loss_at_the_limit_is_no_divergence() -> None:
    assert find_in_second_of_four_epochs([LIMIT * GUESSING] * 4, GUESSING) is None


@pytest.mark.parametrize(
    ("first", "last", "guessing", "said"),
    [
        (2.3, 1e8, None, "1e+08, above 1,000,000 times its first value, 2.3"),
        (2.3, 1e30, None, "1e+30, above 1,000,000 times its first value, 2.3"),
        (0.0, 1e8, None, "1e+08, above 1,000,000 times its first value, 0"),
        (-100.0, 1e9, None, "1e+09, above 1,000,000 times its first value, -100"),
        (1e8, 1e8, 2.3, "1e+08, above 1,000 times that of guessing, 2.3"),
        (2.3, 1.001 * FAR * 2.3, 2.3, "2.3e+03, above 1,000 times that of guessing, 2.3"),
    ],
)
def test_a_metric_far_above_its_first_value_or_that_of_guessing_has_blown_up(
    first: float, last: float, guessing: float | None, said: str
) -> None:
    assert find_blow_up(first, last, guessing=guessing) == said


@pytest.mark.parametrize(
    ("first", "last", "guessing"),
    [
        (2.3, 0.99 * FAR_FROM_FIRST * 2.3, None),
        (2.3, 0.99 * FAR * 2.3, 2.3),
        (1e-9, 0.5, None),  # a loss that starts near zero, and rises
        (0.0, 1e5, None),  # a regret that adds up
        (1e30, 1e30, None),  # far off from the first step on: other rates tell
        (1e12, 1e12 + 5, None),
        (-1e3, 1e3, None),
        (5.0, -1e300, None),
        (math.nan, 1e30, None),
        (2.3, 100.0, 0.0),
        (2.3, 100.0, -5.0),  # no scale
    ],
)
def test_a_metric_that_rises_without_blowing_up_has_not_diverged(first: float, last: float, guessing: float | None) -> None:
    assert find_blow_up(first, last, guessing=guessing) is None

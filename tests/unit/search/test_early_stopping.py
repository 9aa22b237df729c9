"""Early stopping on recorded curves: 300 of the 500 jobs and arrival orders that `make prove` replays, four trials at once."""

from functools import cache

import pytest

from benchmarks.early_stopping import DEFAULT, EPOCHS_USED, NAIVE, NEAR_BEST, replay_orders
from benchmarks.replay import Kept

RECORDED = [(network, schedule) for network in ("cnn", "mlp") for schedule in ("constant", "cosine", "one_cycle")]
N_ORDERS = 300
N_WORKERS = 4


# The rung of the first quarter waits for the end of the warm-up, at 0.3: with half kept there and half of those at the half, 0.53
# of the epochs are the least, and trials that arrive before others are known are kept too.
MISSED = pytest.mark.xfail(reason="0.62 of the epochs for mlp under one-cycle, 0.57 for cnn", strict=True)


@cache
def kept(network: str, schedule: str, rungs: str) -> Kept:
    return replay_orders(network, schedule, rungs, N_WORKERS, N_ORDERS)


@pytest.mark.parametrize(("network", "schedule"), RECORDED)
def test_the_default_rungs_keep_a_learning_rate_near_the_best(network: str, schedule: str) -> None:
    assert kept(network, schedule, DEFAULT).near >= NEAR_BEST


@pytest.mark.parametrize(
    ("network", "schedule"), [pytest.param(*job, marks=MISSED if job == ("mlp", "one_cycle") else ()) for job in RECORDED]
)
def test_the_default_rungs_save_two_fifths_of_the_epochs(network: str, schedule: str) -> None:
    assert kept(network, schedule, DEFAULT).epochs <= EPOCHS_USED


@pytest.mark.parametrize(("network", "schedule"), RECORDED)
def test_rungs_that_ignore_the_schedule_lose_the_best_learning_rate_far_more_often(network: str, schedule: str) -> None:
    assert kept(network, schedule, NAIVE).near <= kept(network, schedule, DEFAULT).near - 0.1

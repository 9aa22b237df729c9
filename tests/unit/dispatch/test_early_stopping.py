"""Early stopping on recorded curves: 100 of the 500 arrival orders that `make prove` replays, four trials at once."""

from functools import cache

import pytest

from benchmarks.early_stopping import DEFAULT, EPOCHS_USED, NAIVE, NEAR_BEST, replay_orders
from benchmarks.replay import Kept

RECORDED = [(network, schedule) for network in ("cnn", "mlp") for schedule in ("constant", "cosine", "one_cycle")]
N_ORDERS = 100
N_WORKERS = 4

# The first quarter of a one-cycle schedule ends inside its warm-up, so nobody is asked before the half: with all 13 trials
# there and a single one seen to its end, 0.54 (cnn) and 0.59 (mlp) of the epochs are used.
MISSED = pytest.mark.xfail(reason="no rung before the half of a one-cycle schedule: 0.68 (cnn), 0.72 (mlp)", strict=True)


@cache
def kept(network: str, schedule: str, rungs: str) -> Kept:
    return replay_orders(network, schedule, rungs, N_WORKERS, N_ORDERS)


@pytest.mark.parametrize(("network", "schedule"), RECORDED)
def test_the_default_rungs_keep_a_learning_rate_near_the_best(network: str, schedule: str) -> None:
    assert kept(network, schedule, DEFAULT).near >= NEAR_BEST


@pytest.mark.parametrize(
    ("network", "schedule"), [pytest.param(*job, marks=MISSED if job[1] == "one_cycle" else ()) for job in RECORDED]
)
def test_the_default_rungs_save_two_fifths_of_the_epochs(network: str, schedule: str) -> None:
    assert kept(network, schedule, DEFAULT).epochs <= EPOCHS_USED


@pytest.mark.parametrize(("network", "schedule"), RECORDED)
def test_rungs_that_ignore_the_schedule_lose_the_best_learning_rate_far_more_often(network: str, schedule: str) -> None:
    assert kept(network, schedule, NAIVE).near <= kept(network, schedule, DEFAULT).near - 0.1

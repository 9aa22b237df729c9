"""Which points a later phase of a job tries, and with which training seeds."""

import math
from typing import Any

import pytest
from optuna.trial import FrozenTrial

from service.domain.job import JobState
from service.domain.training_seeds import TRAINING_SEED, replicate_seed
from service.search.strategies import grid
from service.store.postgres import Database
from tests.factories import job_spec, submit_job_of_phases
from tests.integration.dispatch.phases import HIGH, LOW, NARROW, QMC, RATE_ALONE, complete_next, is_narrow, narrowed, phases_of
from tests.integration.dispatch.training import (
    claimer_of,
    current,
    run_job,
    stored,
)


def test_a_grid_is_followed_by_another_from_its_first_point_on_and_every_trial_has_a_seed_of_its_own(database: Database) -> None:
    space = RATE_ALONE
    job = submit_job_of_phases(
        database, 4, narrowed("grid", 5, space), narrowed("random", space=space), strategy="grid", search_space=space,
        budget={"trials": 12}, seed=3,
    )  # fmt: skip
    run_job(database, claimer_of(database))
    trials = stored(database, job)
    spec = job_spec(search_space=space | NARROW)
    points = [grid.point(spec.search_space, 3, index)["learning_rate"] for index in range(5)]
    assert [trial.params["learning_rate"] for trial in trials[4:9]] == points
    assert phases_of(trials) == [0] * 4 + [1] * 5 + [2] * 3
    assert len({trial.user_attrs[TRAINING_SEED] for trial in trials}) == 12


def test_a_later_grid_without_a_share_ends_with_its_last_point(database: Database) -> None:
    job = submit_job_of_phases(
        database, 2, narrowed("grid", space=RATE_ALONE), search_space=RATE_ALONE, budget={"trials": 20}
    )  # fmt: skip
    run_job(database, claimer_of(database))
    assert phases_of(stored(database, job)) == [0] * 2 + [1] * 5
    assert current(database, job).state is JobState.COMPLETED


@pytest.mark.parametrize("second", ["grid", "random", QMC])
@pytest.mark.parametrize("first", ["grid", "random", QMC, "bayesian"])
def test_a_phase_begins_with_the_first_replicate_of_a_point_of_its_own(database: Database, first: Any, second: Any) -> None:
    job = submit_job_of_phases(
        database, 5, narrowed(second, space=RATE_ALONE), strategy=first, search_space=RATE_ALONE, replicates=2, seed=3,
        budget={"trials": 11},
    )  # fmt: skip
    claimer = claimer_of(database)
    claims = [complete_next(database, claimer) for _ in range(11)]
    trials = stored(database, job)[5:]
    rates = [trial.params["learning_rate"] for trial in trials]
    assert all(map(is_narrow, trials))
    assert rates[0::2] == rates[1::2]
    assert len(set(rates)) == 3
    assert [trial.user_attrs["replicate"] for trial in trials] == [0, 1] * 3
    assert [claim.training_seed for claim in claims[5:]] == [replicate_seed(3, replicate) for replicate in (0, 1)] * 3


def test_uniform_points_of_a_later_phase_are_not_those_of_the_first_moved(database: Database) -> None:
    def places(trials: list[FrozenTrial], low: float, high: float) -> set[float]:
        return {round(math.log(trial.params["learning_rate"] / low) / math.log(high / low), 6) for trial in trials}

    for replicates in (1, 2):
        job = submit_job_of_phases(
            database, 6, narrowed("random", space=RATE_ALONE), search_space=RATE_ALONE, replicates=replicates,
            budget={"trials": 12},
        )  # fmt: skip
        run_job(database, claimer_of(database))
        trials = stored(database, job)
        assert not places(trials[:6], 1e-5, 1.0) & places(trials[6:], LOW, HIGH)

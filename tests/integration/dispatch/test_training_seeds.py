"""The seed that a trial is trained with: its own, whichever worker trains it."""

from typing import Any
from uuid import uuid4

import pytest

from service.dispatch import lifecycle
from service.dispatch.outcome import Completed
from service.domain.job import Job
from service.domain.training_seeds import training_seed
from service.store import leases
from service.store.postgres import Database
from service.worker.checkpointing import model_metadata
from tests.factories import LEARNING_RATE, submit_job
from tests.integration.dispatch.foreign import foreign
from tests.integration.dispatch.test_replicates import STRATEGIES
from tests.integration.dispatch.training import SPACE, claimed, claimer_of, conclude, current, expire, stored


def seeds_of(database: Database, job: Job) -> list[Any]:
    return [trial.user_attrs.get("training_seed") for trial in stored(database, job)]


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_each_trial_has_its_own_and_stores_it(database: Database, strategy: Any) -> None:
    first = [{"learning_rate": 0.1}]
    job = submit_job(database, strategy=strategy, search_space=SPACE, budget={"trials": 6}, seed=9, try_first=first)
    claimer = claimer_of(database)
    claims = [claimed(claimer) for _ in range(6)]
    expected = [training_seed(job.spec, number=number) for number in range(6)]
    assert [claim.training_seed for claim in claims] == seeds_of(database, job) == expected
    assert len(set(expected)) == 6


def test_each_point_of_a_grid_has_its_own_whichever_trial_gets_it(database: Database) -> None:
    space = {"learning_rate": LEARNING_RATE | {"points": 6}}
    by_rate = []
    for foreign_trials in (0, 3):
        job = submit_job(database, strategy="grid", search_space=space, seed=9, budget={"trials": 6 + foreign_trials})
        with foreign(database, job) as study:
            for _ in range(foreign_trials):
                study.tell(study.ask(), 0.5)
        claimer = claimer_of(database)
        claims = [claimed(claimer) for _ in range(6)]
        by_rate.append({claim.params["learning_rate"]: claim.training_seed for claim in claims})
        for claim in claims:
            conclude(database, claim, Completed(value=0.5))
    assert by_rate[0] == by_rate[1]
    assert len(set(by_rate[0].values())) == 6


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_they_share_one_it_is_the_jobs(database: Database, strategy: Any) -> None:
    job = submit_job(database, strategy=strategy, budget={"trials": 3}, seed=9, training_seed="shared")
    claimer = claimer_of(database)
    assert [claimed(claimer).training_seed for _ in range(3)] == seeds_of(database, job) == [9] * 3


def test_a_point_that_is_tried_three_times_has_three_seeds(database: Database) -> None:
    job = submit_job(database, try_first=[{"learning_rate": 0.1}] * 3, budget={"trials": 3})
    claimer = claimer_of(database)
    claims = [claimed(claimer) for _ in range(3)]
    assert {claim.params["learning_rate"] for claim in claims} == {0.1}
    assert len({claim.training_seed for claim in claims} | set(seeds_of(database, job))) == 3


def test_two_jobs_of_one_seed_train_their_trials_with_the_same_seeds(database: Database) -> None:
    jobs = [submit_job(database, budget={"trials": 4}, seed=3) for _ in range(2)]
    claimer = claimer_of(database)
    for _ in range(8):
        claimed(claimer)
    assert seeds_of(database, jobs[0]) == seeds_of(database, jobs[1])


def test_what_a_foreign_script_enqueues_has_the_seed_of_its_number(database: Database) -> None:
    job = submit_job(database, budget={"trials": 4})
    with foreign(database, job) as study:
        study.enqueue_trial({"learning_rate": 0.125}, user_attrs={"training_seed": 11, "note": "mine"})
    claim = claimed(claimer_of(database))
    assert (claim.params["learning_rate"], claim.training_seed) == (0.125, training_seed(job.spec, number=0))
    assert stored(database, job)[0].user_attrs == {"training_seed": claim.training_seed, "note": "mine"}


# Trials that are continued


def test_a_trial_that_is_taken_over_keeps_its_seed(database: Database) -> None:
    submit_job(database, seed=5)
    claim = claimed(claimer_of(database))
    expire(database, claim)
    taken = claimed(claimer_of(database))
    assert (taken.lease.attempt, taken.training_seed) == (2, claim.training_seed)


def test_the_seed_that_is_stored_is_what_a_takeover_trains_with(database: Database) -> None:
    """Else a trial begun by an older version would be continued with another seed."""
    submit_job(database, seed=5)
    claim = claimed(claimer_of(database))
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE optuna.trial_user_attributes SET value_json = '123' WHERE key = 'training_seed'")
    following = claimer_of(database).retry(claim, uuid4(), "killed", "")
    assert following is not None
    assert following.training_seed == 123


@pytest.mark.parametrize("written", ['"?"', "-1", "null"])
def test_a_stored_seed_that_is_none_is_drawn_again(database: Database, written: str) -> None:
    submit_job(database, seed=5)
    claim = claimed(claimer_of(database))
    with database.transaction() as conn:
        conn.exec_driver_sql(
            "UPDATE optuna.trial_user_attributes SET value_json = %(written)s WHERE key = 'training_seed'", {"written": written}
        )
    following = claimer_of(database).retry(claim, uuid4(), "killed", "")
    assert following is not None
    assert following.training_seed == claim.training_seed


def test_a_trial_whose_claim_was_not_answered_has_its_seed(database: Database) -> None:
    submit_job(database, seed=5)
    claim = claimed(claimer_of(database))
    found = claimer_of(database).reclaim(claim.lease.token)
    assert found is not None
    assert found.training_seed == claim.training_seed


def test_a_trial_that_goes_on_after_a_pause_keeps_its_seed(database: Database) -> None:
    job = submit_job(database, strategy="grid", seed=5)
    claim = claimed(claimer_of(database))
    database.transact(lambda conn: lifecycle.pause(conn, job.id))
    database.transact(lambda conn: leases.release(conn, claim.lease, "its job was paused"))
    database.transact(lambda conn: lifecycle.resume(conn, job.id))
    assert claimed(claimer_of(database)).training_seed == claim.training_seed
    assert current(database, job).next_point == 1


def test_the_best_model_says_which_seed_it_was_trained_with(database: Database) -> None:
    submit_job(database, seed=5)
    claim = claimed(claimer_of(database))
    assert model_metadata(claim, 1.0)["seed"] == str(claim.training_seed)

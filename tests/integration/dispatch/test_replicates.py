"""Points tried with several training seeds: which trials there are, and with which seed whoever trains one of them does."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.outcome import Completed, Failed
from service.dispatch.renew import report, should_prune
from service.domain.job import Job, JobState
from service.domain.space import parse_space
from service.domain.training_seeds import replicate_seed
from service.domain.trial import TrialError
from service.search.strategies import grid
from service.store import leases
from service.store.postgres import Database
from service.worker.checkpointing import model_metadata
from tests.factories import LEARNING_RATE, measurement, submit_job
from tests.integration.dispatch.foreign import foreign
from tests.integration.dispatch.training import (
    LEASE_S,
    SPACE,
    claimed,
    claimer_of,
    conclude,
    current,
    expire,
    run_job,
    stored,
)

QMC: dict[str, Any] = {"type": "random", "sampler": "qmc"}
STRATEGIES: list[Any] = ["grid", "random", QMC, "bayesian"]
TURN = 12
"""The first trial of a bayesian job that repeats a point."""


def complete(claim: Claim, database: Database) -> None:
    """With the parabola's value."""
    conclude(database, claim, Completed(value=abs(float(claim.params["learning_rate"]) - 0.01)))


def replicates_of(trials: Sequence[FrozenTrial]) -> list[Any]:
    return [trial.user_attrs.get("replicate") for trial in trials]


def points_of(trials: Sequence[FrozenTrial]) -> list[str]:
    return [str(trial.params) for trial in trials]


def second_replicate(database: Database) -> Claim:
    """The second trial of a job whose every point has three seeds."""
    submit_job(database, replicates=3, seed=5)
    claimer = claimer_of(database)
    claimed(claimer)
    return claimed(claimer)


def test_a_grid_tries_each_point_with_all_its_seeds_one_after_the_other(database: Database) -> None:
    document = {"learning_rate": LEARNING_RATE | {"points": 4}}
    job = submit_job(database, strategy="grid", search_space=document, budget={"trials": 12}, replicates=3, seed=2)
    claimer = claimer_of(database)
    claims = [claimed(claimer) for _ in range(12)]
    assert claimer.claim(uuid4()) is None
    points = [grid.point(parse_space(document), 2, index) for index in range(4)]
    assert [claim.params for claim in claims] == [point for point in points for _ in range(3)]
    assert replicates_of(stored(database, job)) == [0, 1, 2] * 4
    assert [claim.training_seed for claim in claims] == [2, replicate_seed(2, 1), replicate_seed(2, 2)] * 4
    for claim in claims:
        assert current(database, job).state is JobState.RUNNING
        complete(claim, database)
    assert current(database, job).state is JobState.COMPLETED


@pytest.mark.parametrize("strategy", ["random", QMC])
@pytest.mark.parametrize("finish_first", [True, False], ids=["one after the other", "all at once"])
def test_random_search_tries_each_point_with_all_its_seeds_one_after_the_other(
    database: Database, strategy: Any, finish_first: bool
) -> None:
    job = submit_job(database, strategy=strategy, search_space=SPACE, budget={"trials": 8}, replicates=3)
    claimer = claimer_of(database)
    for _ in range(8):
        claim = claimed(claimer)
        if finish_first:
            complete(claim, database)
    trials = stored(database, job)
    assert replicates_of(trials) == [0, 1, 2, 0, 1, 2, 0, 1]
    found = points_of(trials)
    assert found == [found[index] for index in (0, 0, 0, 3, 3, 3, 6, 6)]
    assert len(set(found)) == 3


def test_the_points_of_a_random_job_are_those_that_it_has_without_replicates(database: Database) -> None:
    first = [{"batch_size": 32, "epochs": 3, "learning_rate": 0.5, "momentum": 0.33}]
    once, thrice = (
        submit_job(database, search_space=SPACE, budget={"trials": 5 * n}, replicates=n, seed=3, try_first=first) for n in (1, 3)
    )
    run_job(database, claimer_of(database))
    assert points_of(stored(database, thrice)) == [point for point in points_of(stored(database, once)) for _ in range(3)]


@pytest.mark.parametrize("strategy", ["random", QMC, "grid"])
def test_a_foreign_script_takes_none_of_a_points_seeds_away(database: Database, strategy: Any) -> None:
    job = submit_job(database, strategy=strategy, search_space=SPACE, budget={"trials": 14}, replicates=3)
    claimer = claimer_of(database)
    odd: list[Any] = [2, "1", True]
    for value in odd:
        complete(claimed(claimer), database)
        with foreign(database, job) as study:
            study.add_trial(create_trial(value=0.0, user_attrs={"replicate": value, "stride": "?"}))
            study.enqueue_trial({"learning_rate": 0.125}, user_attrs={"replicate": value})
        complete(claimed(claimer), database)
    while (claim := claimer.claim(uuid4())) is not None:
        complete(claim, database)
    own = [trial for trial in stored(database, job) if trial.params and "fixed_params" not in trial.system_attrs]
    assert len(own) == (14 if strategy == "grid" else 14 - 6)
    assert replicates_of(own) == [index % 3 for index in range(len(own))]
    found = points_of(own)
    assert found == [found[index - index % 3] for index in range(len(own))]
    enqueued = [trial for trial in stored(database, job) if "fixed_params" in trial.system_attrs]
    assert replicates_of(enqueued) == [2, 0, 0], "a valid mark is kept; another is corrected"


@pytest.mark.parametrize("strategy", ["random", QMC, "bayesian"])
def test_each_point_to_try_first_is_tried_with_every_seed(database: Database, strategy: Any) -> None:
    first = [{"learning_rate": 0.1, "epochs": 3}, {"batch_size": 128}]
    job = submit_job(database, strategy=strategy, search_space=SPACE, try_first=first, budget={"trials": 8}, replicates=3, seed=4)
    waiting = stored(database, job)
    assert [trial.state for trial in waiting] == [TrialState.WAITING] * 6
    assert replicates_of(waiting) == [0, 1, 2] * 2
    claimer = claimer_of(database)
    claims = [claimed(claimer) for _ in range(8)]
    assert claimer.claim(uuid4()) is None
    assert replicates_of(stored(database, job))[:6] == [0, 1, 2] * 2
    assert [claim.training_seed for claim in claims[:6]] == [replicate_seed(4, replicate) for replicate in (0, 1, 2)] * 2
    for index, claim in enumerate(claims[:6]):
        assert claim.params.items() >= first[index // 3].items()
        assert claim.params == claims[index - index % 3].params, "parameters that they leave out are drawn once"
    assert claims[0].params != claims[3].params != claims[6].params


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("training_seed", ["per_trial", "shared"])
def test_a_job_without_replicates_marks_no_trial_as_one(database: Database, strategy: Any, training_seed: str) -> None:
    job = submit_job(database, strategy=strategy, budget={"trials": 4}, seed=9, training_seed=training_seed)
    claimer = claimer_of(database)
    if strategy != "grid":
        with foreign(database, job) as study:
            study.enqueue_trial({"learning_rate": 0.125}, user_attrs={"replicate": 2})
    claims = [claimed(claimer) for _ in range(4)]
    seeds = {claim.training_seed for claim in claims}
    assert seeds == {9} if training_seed == "shared" else len(seeds) == 4
    theirs = 0 if strategy == "grid" else 1
    assert [list(trial.user_attrs) for trial in stored(database, job)][theirs:] == [["training_seed"]] * (4 - theirs)


# Trials that are continued


def test_a_trial_that_is_taken_over_keeps_its_seed(database: Database) -> None:
    claim = second_replicate(database)
    expire(database, claim)
    taken = claimed(claimer_of(database))
    assert (taken.lease.number, taken.lease.attempt) == (1, 2)
    assert taken.training_seed == replicate_seed(5, 1)


def test_a_trial_whose_trainer_died_keeps_its_seed(database: Database) -> None:
    following = claimer_of(database).retry(second_replicate(database), uuid4(), "killed", "")
    assert following is not None
    assert (following.lease.attempt, following.training_seed) == (2, replicate_seed(5, 1))


def test_a_trial_whose_claim_was_not_answered_has_its_seed(database: Database) -> None:
    claim = second_replicate(database)
    found = claimer_of(database).reclaim(claim.lease.token)
    assert found is not None
    assert found.training_seed == claim.training_seed == replicate_seed(5, 1)


def test_a_trial_that_goes_on_after_a_pause_keeps_its_seed_and_the_points_go_on_where_they_were(database: Database) -> None:
    claim = second_replicate(database)
    job_id = claim.job.id
    database.transact(lambda conn: lifecycle.pause(conn, job_id))
    assert claimer_of(database).claim(uuid4()) is None
    database.transact(lambda conn: leases.release(conn, claim.lease, "its job was paused"))
    database.transact(lambda conn: lifecycle.resume(conn, job_id))
    claimer = claimer_of(database)
    resumed, following, next_point = claimed(claimer), claimed(claimer), claimed(claimer)
    assert (resumed.lease.number, resumed.training_seed, resumed.params) == (1, replicate_seed(5, 1), claim.params)
    assert (following.training_seed, following.params) == (replicate_seed(5, 2), claim.params)
    assert next_point.training_seed == 5
    assert next_point.params != claim.params


def test_the_best_model_says_which_seed_it_was_trained_with(database: Database) -> None:
    assert model_metadata(second_replicate(database), 1.0)["seed"] == str(replicate_seed(5, 1))


# Bayesian search


def begun(trials: Sequence[FrozenTrial]) -> Counter[tuple[str, int]]:
    """How often each replicate of a point was begun."""
    return Counter(zip(points_of(trials), replicates_of(trials), strict=True))


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_bayesian_search_repeats_its_best_points_and_each_seed_once(database: Database, sampler: str) -> None:
    strategy = {"type": "bayesian", "sampler": sampler}
    job = submit_job(database, strategy=strategy, search_space=SPACE, budget={"trials": 24}, replicates=3)
    claimer = claimer_of(database)
    for number in range(24):
        before = stored(database, job)
        claim = claimed(claimer)
        own = stored(database, job)[number]
        if own.user_attrs["replicate"] > 0:
            ranked = sorted(set(points_of(before)), key=lambda point: min(t.value for t in before if str(t.params) == point))
            assert str(own.params) in ranked[:4]
        complete(claim, database)
    trials = stored(database, job)
    assert set(begun(trials).values()) == {1}
    assert [trial.number for trial in trials if trial.user_attrs["replicate"] > 0] == [12, 15, 18, *range(20, 24)]
    best = min(trials, key=lambda trial: trial.value)
    assert sorted(trial.user_attrs["replicate"] for trial in trials if trial.params == best.params) == [0, 1, 2]
    assert current(database, job).state is JobState.COMPLETED


def test_two_claimers_taking_turns_repeat_what_one_repeats(database: Database) -> None:
    overrides: dict[str, Any] = {"strategy": "bayesian", "search_space": SPACE, "seed": 3, "replicates": 2}
    overrides["budget"] = {"trials": 20, "failures": 1000}
    alone = submit_job(database, **overrides)
    run_job(database, claimer_of(database))
    shared = submit_job(database, **overrides)
    run_job(database, claimer_of(database), claimer_of(database))
    assert begun(stored(database, alone)) == begun(stored(database, shared))
    assert points_of(stored(database, alone)) == points_of(stored(database, shared))


def until_turn(database: Database, job: Job) -> Claim:
    """Run a bayesian job up to the first trial that repeats a point, which is claimed."""
    claimer = claimer_of(database)
    for _ in range(TURN):
        claim = claimed(claimer)
        steps = [measurement(step, float(claim.lease.number)) for step in (1, 2, 3, 4)]
        database.transact(lambda conn, claim=claim, steps=steps: report(conn, job, claim.lease, steps, lease_s=LEASE_S))  # type: ignore[misc]
        conclude(database, claim, Completed(value=float(claim.lease.number)))
    return claimed(claimer)


def test_no_pruner_ends_a_trial_that_repeats_one_of_the_best_points(database: Database) -> None:
    job = submit_job(database, strategy="bayesian", pruner="median", search_space=SPACE, budget={"trials": 40}, replicates=2)
    repeat = until_turn(database, job)
    explores = claimed(claimer_of(database))
    assert replicates_of(stored(database, job))[TURN:] == [1, 0]
    for claim, prunes in ((repeat, False), (explores, True)):
        database.transact(lambda conn, claim=claim: report(conn, job, claim.lease, [measurement(1, 1e9)], lease_s=LEASE_S))  # type: ignore[misc]
        assert should_prune(database, claimer_of(database).cache, job, claim.lease) == prunes


def test_a_seed_with_which_a_point_fails_is_not_tried_again(database: Database) -> None:
    job = submit_job(database, strategy="bayesian", search_space=SPACE, budget={"trials": 40}, replicates=2)
    repeat = until_turn(database, job)
    conclude(database, repeat, Failed(error=TrialError(type="RuntimeError", message="told to fail")))
    claimer = claimer_of(database)
    following = [claimed(claimer) for _ in range(3)]
    assert replicates_of(stored(database, job))[-3:] == [0, 0, 1]
    assert following[2].params != repeat.params


def test_stock_optuna_reads_the_marks(database: Database) -> None:
    job = submit_job(database, replicates=2, budget={"trials": 2})
    claimer = claimer_of(database)
    claimed(claimer), claimed(claimer)
    with foreign(database, job) as study:
        study.tell(0, 1.0)
        seeds = [{"replicate": each, "training_seed": replicate_seed(0, each)} for each in (0, 1)]
        assert [trial.user_attrs for trial in study.get_trials(deepcopy=False)] == seeds
        assert study.best_trial.user_attrs == seeds[0]
        assert isinstance(study, optuna.Study)

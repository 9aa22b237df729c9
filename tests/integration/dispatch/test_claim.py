"""Which trial a worker gets next, and what it is made of."""

from typing import Any
from uuid import uuid4

import pytest
from optuna.trial import TrialState

from service.dispatch import lifecycle
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed
from service.domain.job import JobState
from service.search.next_trial import propose_next
from service.search.preview import first_points
from service.search.snapshot import EMPTY
from service.store.postgres import Database
from tests.factories import LEARNING_RATE, job_spec, submit_job
from tests.integration.dispatch.foreign import RATE, foreign, known
from tests.integration.dispatch.training import (
    SPACE,
    claimed,
    claimer_of,
    conclude,
    current,
    events,
    fails,
    run_job,
    run_trial,
    stored,
)

STRATEGIES: list[Any] = ["random", "bayesian", "grid"]


ONE = {"learning_rate": LEARNING_RATE}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_claim_gives_every_trial_of_the_budget_once(database: Database, strategy: str) -> None:
    submit_job(database, strategy=strategy, budget={"trials": 3})
    claimer = claimer_of(database)
    claims = [claimer.claim(uuid4()) for _ in range(4)]
    assert [claim and claim.lease.number for claim in claims] == [0, 1, 2, None]


def test_the_first_claim_starts_the_job(database: Database) -> None:
    job = submit_job(database)
    assert current(database, job).state is JobState.QUEUED
    claimed(claimer_of(database))
    started = current(database, job)
    assert started.state is JobState.RUNNING
    assert started.started_at is not None
    assert events(database, job) == ["job.submitted", "job.started", "trial.started"]


def test_a_claim_carries_the_fixed_params_too(database: Database) -> None:
    submit_job(database, search_space={"learning_rate": LEARNING_RATE, "epochs": 4, "mode": "fancy", "momentum": 0.9})
    params = dict(claimed(claimer_of(database)).params)
    assert 1e-5 <= float(params.pop("learning_rate")) <= 1.0
    assert params == {"epochs": 4, "mode": "fancy", "momentum": 0.9}


def test_params_keep_their_types(database: Database) -> None:
    space = {
        "a": {"type": "int", "low": 1, "high": 9},
        "b": {"type": "categorical", "choices": [True, "x", 2, 2.5]},
        "c": {"type": "float", "low": 0.0, "high": 2.0, "step": 1.0},
    }
    submit_job(database, search_space=space, budget={"trials": 20})
    claimer = claimer_of(database)
    for _ in range(20):
        claim = claimed(claimer)
        again = claimer.reclaim(claim.lease.token)
        assert again is not None
        assert again.params == claim.params
        assert [type(again.params[name]) for name in "abc"] == [type(claim.params[name]) for name in "abc"]
        assert (type(claim.params["a"]), type(claim.params["c"])) == (int, float)


def test_a_worker_gets_only_what_it_offers(database: Database) -> None:
    submit_job(database, objective={"name": "unheard-of"})
    assert claimer_of(database).claim(uuid4()) is None
    assert Claimer(database, uuid4(), [], 30).claim(uuid4()) is None
    assert Claimer(database, uuid4(), ["quadratic", "unheard-of"], 30).claim(uuid4()) is not None


def test_without_a_job_there_is_nothing_to_do(database: Database) -> None:
    assert claimer_of(database).claim(uuid4()) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_preview_shows_the_points_that_are_claimed(database: Database, strategy: str) -> None:
    overrides = {"strategy": strategy, "search_space": SPACE, "seed": 4}
    submit_job(database, **overrides)
    claimer = claimer_of(database)
    assert [claimed(claimer).params for _ in range(5)] == first_points(job_spec(**overrides))


# Between jobs


def test_the_larger_priority_goes_first(database: Database) -> None:
    jobs = [submit_job(database, priority=priority, budget={"trials": 2}) for priority in (0, 5, -3)]
    claimer = claimer_of(database)
    order = [claimed(claimer).job.id for _ in range(6)]
    assert order == [jobs[1].id] * 2 + [jobs[0].id] * 2 + [jobs[2].id] * 2


def test_jobs_of_one_priority_share_evenly_by_running_trials(database: Database) -> None:
    first, second, third = (submit_job(database) for _ in range(3))
    claimer = claimer_of(database)
    claims = [claimed(claimer) for _ in range(6)]
    assert [claim.job.id for claim in claims] == [first.id, second.id, third.id] * 2
    conclude(database, claims[1], Completed(value=1.0))
    conclude(database, claims[4], Completed(value=1.0))
    assert [claimed(claimer).job.id for _ in range(2)] == [second.id, second.id]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_job_runs_no_more_trials_at_once_than_it_allows(database: Database, strategy: str) -> None:
    submit_job(database, strategy=strategy, max_parallel=2)
    claimer = claimer_of(database)
    first, _ = claimed(claimer), claimed(claimer)
    assert claimer.claim(uuid4()) is None
    conclude(database, first, Completed(value=1.0))
    claimed(claimer)
    assert claimer.claim(uuid4()) is None


# try_first


@pytest.mark.parametrize("strategy", ["random", "bayesian", {"type": "random", "sampler": "qmc"}])
def test_points_to_try_first_are_the_first_trials_and_the_sampler_fills_what_they_lack(database: Database, strategy: Any) -> None:
    first = [{"learning_rate": 0.1, "epochs": 3}, {"learning_rate": 0.2}, {"batch_size": 128}]
    job = submit_job(database, strategy=strategy, search_space=SPACE, try_first=first, budget={"trials": 5})
    assert [trial.state for trial in stored(database, job)] == [TrialState.WAITING] * 3
    claimer = claimer_of(database)
    claims = [claimed(claimer) for _ in range(5)]
    assert claimer.claim(uuid4()) is None
    assert [claim.lease.number for claim in claims] == [0, 1, 2, 3, 4]
    for claim, point in zip(claims, first, strict=False):
        assert {name: claim.params[name] for name in point} == point
    assert all(claim.params.keys() == SPACE.keys() for claim in claims)
    assert len({str(claim.params) for claim in claims}) == 5
    for claim, trial in zip(claims, stored(database, job), strict=True):
        assert trial.params == {name: value for name, value in claim.params.items() if name != "warmup"}
        assert trial.state is TrialState.RUNNING
        assert trial.datetime_start is not None


def test_a_fixed_parameter_may_stand_in_try_first(database: Database) -> None:
    submit_job(database, try_first=[{"learning_rate": 0.1, "momentum": 0.9}])
    claim = claimed(claimer_of(database))
    assert (claim.params["learning_rate"], claim.params["momentum"]) == (0.1, 0.9)


# Foreign trials


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_trial_that_somebody_enqueued_is_claimed_first(database: Database, strategy: str) -> None:
    job = submit_job(database, strategy=strategy, budget={"trials": 3})
    claimer = claimer_of(database)
    claimed(claimer)
    with foreign(database, job) as study:
        study.enqueue_trial({"learning_rate": 0.125})
    claim = claimed(claimer)
    assert (claim.lease.number, claim.params["learning_rate"]) == (1, 0.125)
    conclude(database, claim, Completed(value=1.0))
    assert stored(database, job)[1].value == 1.0


def test_an_enqueued_trial_is_run_even_when_all_others_are_issued(database: Database) -> None:
    job = submit_job(database, budget={"trials": 1})
    claimer = claimer_of(database)
    last = claimed(claimer)
    with foreign(database, job) as study:
        study.enqueue_trial({"learning_rate": 0.125})
    conclude(database, last, Completed(value=1.0))
    assert current(database, job).state is JobState.RUNNING
    conclude(database, claimed(claimer), Completed(value=1.0))
    assert current(database, job).state is JobState.COMPLETED


def test_an_enqueued_value_that_cannot_be_taken_is_an_event_and_a_random_point(database: Database) -> None:
    job = submit_job(database, search_space=SPACE, strategy="bayesian")
    with foreign(database, job) as study:
        study.enqueue_trial({"batch_size": "a\0b"})
    claim = claimed(claimer_of(database))
    assert claim.params["batch_size"] in (16, 32, 64, 128)
    assert "sampler.failed" in events(database, job)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_foreign_running_trial_is_left_alone_and_delays_nothing(database: Database, strategy: str) -> None:
    job = submit_job(database, strategy=strategy, budget={"trials": 3}, max_parallel=1)
    with foreign(database, job) as study:
        study.ask({"learning_rate": RATE})
    claimer = claimer_of(database)
    claim = claimer.claim(uuid4())
    while claim is not None:
        assert claim.lease.number > 0
        conclude(database, claim, Completed(value=1.0))
        claim = claimer.claim(uuid4())
    assert current(database, job).state is JobState.COMPLETED
    trials = stored(database, job)
    assert trials[0].state is TrialState.RUNNING
    # A grid misses none of its points; a budget counts every number, whoever took it.
    assert len(trials) == (4 if strategy == "grid" else 3)


def test_a_finished_foreign_trial_informs_the_sampler_whatever_constraints_it_carries(database: Database) -> None:
    def ask_after(constraints: Any) -> dict[str, Any]:
        job = submit_job(database, strategy="bayesian", search_space=ONE, budget={"trials": 50}, seed=9)
        with foreign(database, job) as study:
            for number in range(12):
                study.add_trial(known(number, {} if constraints is None else {"constraints": constraints}))
        claim = claimed(claimer_of(database))
        assert claim.lease.number == 12
        with database.transaction() as conn:
            lifecycle.cancel(conn, job.id)
        return dict(claim.params)

    bare = ask_after(None)
    assert ask_after([-1.0]) == ask_after([5.0]) == ask_after([1.0, 2.0]) == bare
    blind = propose_next(job_spec(strategy="bayesian", search_space=ONE, seed=9), EMPTY, number=12, next_point=0)
    assert bare != blind.point, "the sampler saw nothing of them"


def test_gp_works_with_our_trials_beside_foreign_ones_that_lack_constraints(database: Database) -> None:
    strategy = {"type": "bayesian", "sampler": "gp"}
    job = submit_job(database, strategy=strategy, search_space=ONE, budget={"trials": 50})
    with foreign(database, job) as study:
        for number in range(11):
            study.add_trial(known(number))
    claimer = claimer_of(database)
    conclude(database, claimed(claimer), Completed(value=1.0))
    claimed(claimer)
    assert "sampler.failed" not in events(database, job)


def test_run_to_its_end_a_job_has_no_trial_left_and_a_second_claimer_finds_nothing(database: Database) -> None:
    job = submit_job(database, strategy="bayesian", search_space=SPACE, budget={"trials": 12, "failures": 99})
    claimer = claimer_of(database)
    run_trial(database, claimer, claimed(claimer))
    run_job(database, claimer)
    assert claimer_of(database).claim(uuid4()) is None
    trials = stored(database, job)
    assert [trial.number for trial in trials if trial.state is TrialState.FAIL] == [n for n in range(12) if fails(n)]
    assert current(database, job).state is JobState.COMPLETED

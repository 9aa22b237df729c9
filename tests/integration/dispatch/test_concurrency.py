"""Many claimers at once: nothing is assigned twice, and no limit is exceeded."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from optuna.trial import TrialState

from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed
from service.dispatch.renew import report
from service.domain.job import Job, JobState
from service.domain.space import parse_space
from service.domain.training_seeds import replicate_seed
from service.errors import LeaseLost
from service.search.strategies import grid
from service.store.postgres import Database
from tests.factories import LEARNING_RATE, measurement, submit_job
from tests.integration.dispatch.training import CLAIMERS, LEASE_S, SPACE, claimer_of, conclude, current, events, state_of, stored
from tests.polling import wait_until

Seen = Callable[[Claim], None]
Value = Callable[[Claim], float]


def work_together(
    database: Database,
    jobs: list[Job],
    seen: Seen = lambda claim: None,
    value: Value = lambda claim: float(claim.lease.number),
) -> list[Claim]:
    """Claim and finish with eight claimers until every job is final; all claims."""
    barrier = threading.Barrier(CLAIMERS)

    def work() -> list[Claim]:
        claimer, claims = claimer_of(database), []
        barrier.wait(30)
        while any(state_of(database, job) not in (JobState.COMPLETED, JobState.CANCELLED) for job in jobs):
            claim = claimer.claim(uuid4())
            if claim is not None:
                claims.append(claim)
                seen(claim)
                conclude(database, claim, Completed(value=value(claim)))
        return claims

    with ThreadPoolExecutor(CLAIMERS) as pool:
        return [
            claim for claims in [future.result(90) for future in [pool.submit(work) for _ in range(CLAIMERS)]] for claim in claims
        ]


def test_a_grid_visits_every_point_exactly_once(wide: Database) -> None:
    document: dict[str, Any] = {
        "learning_rate": LEARNING_RATE | {"points": 5},
        "batch_size": {"type": "categorical", "choices": [16, 32, 64, 128]},
        "epochs": {"type": "int", "low": 1, "high": 3},
    }
    space = parse_space(document)
    job = submit_job(wide, strategy="grid", search_space=document, budget={"trials": 60}, seed=5)
    claims = work_together(wide, [job])
    every = [tuple(grid.point(space, 5, index).items()) for index in range(60)]
    assert len(set(every)) == 60
    visited = [tuple(trial.params.items()) for trial in stored(wide, job)]
    assert visited == every, "the order is the seed's"
    assert sorted(claim.lease.number for claim in claims) == list(range(60))
    assert current(wide, job).reason == "all trials of the budget have finished"


@pytest.mark.parametrize("strategy", ["random", "bayesian", {"type": "random", "sampler": "qmc"}])
def test_numbers_are_given_out_without_gap_or_double_and_the_budget_is_exact(wide: Database, strategy: Any) -> None:
    job = submit_job(wide, strategy=strategy, search_space=SPACE, budget={"trials": 24})
    claims = work_together(wide, [job])
    trials = stored(wide, job)
    assert [trial.number for trial in trials] == list(range(24)) == sorted(claim.lease.number for claim in claims)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert len({str(trial.params) for trial in trials}) == 24
    told = events(wide, job)
    assert (told.count("job.started"), told.count("trial.started"), told.count("job.completed")) == (1, 24, 1)


@pytest.mark.parametrize("strategy", ["grid", "random", {"type": "random", "sampler": "qmc"}])
def test_every_point_is_tried_with_every_seed_exactly_once(wide: Database, strategy: Any) -> None:
    document = {"learning_rate": LEARNING_RATE, "momentum": 0.9}
    job = submit_job(wide, strategy=strategy, search_space=document, budget={"trials": 30}, replicates=3)
    claims = work_together(wide, [job])
    begun = Counter((claim.params["learning_rate"], claim.training_seed) for claim in claims)
    rates = {rate for rate, _ in begun}
    assert len(rates) == 10
    assert begun == Counter({(rate, replicate_seed(job.spec.seed, replicate)): 1 for rate in rates for replicate in range(3)})
    marked = Counter((trial.params["learning_rate"], trial.user_attrs["replicate"]) for trial in stored(wide, job))
    assert marked == Counter({(rate, replicate): 1 for rate in rates for replicate in range(3)})
    assert current(wide, job).reason == "all trials of the budget have finished"


def test_bayesian_search_repeats_no_seed_of_a_point(wide: Database) -> None:
    job = submit_job(wide, strategy="bayesian", search_space=SPACE, budget={"trials": 40}, replicates=4)
    claims = work_together(wide, [job], value=lambda claim: float(claim.params["learning_rate"]))
    begun = Counter((str(claim.params), claim.training_seed) for claim in claims)
    assert len(begun) == len(claims) == len(stored(wide, job)) == 40
    assert {claim.training_seed for claim in claims} == {replicate_seed(job.spec.seed, replicate) for replicate in range(4)}
    assert current(wide, job).reason == "all trials of the budget have finished"


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
def test_no_more_trials_run_at_once_than_the_job_allows(wide: Database, strategy: str) -> None:
    job = submit_job(wide, strategy=strategy, search_space=SPACE, budget={"trials": 24}, max_parallel=3)
    lock, running, most = threading.Lock(), 0, 0

    def seen(claim: Claim) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        wide.transact(lambda conn: report(conn, job, claim.lease, [measurement(1)], lease_s=LEASE_S))
        with lock:
            running -= 1

    work_together(wide, [job], seen)
    assert most <= 3
    assert len(stored(wide, job)) == 24


@pytest.mark.parametrize("strategy", ["random", "bayesian", "grid"])
def test_the_limit_of_parallel_trials_is_reached_and_not_passed(wide: Database, strategy: str) -> None:
    submit_job(wide, strategy=strategy, max_parallel=3)
    barrier = threading.Barrier(CLAIMERS)

    def claim(_: int) -> Claim | None:
        claimer = claimer_of(wide)
        assert Claimer(wide, uuid4(), ["nothing"], LEASE_S).claim(uuid4()) is None  # connected
        barrier.wait(30)
        return claimer.claim(uuid4())

    with ThreadPoolExecutor(CLAIMERS) as pool:
        claims = list(pool.map(claim, range(CLAIMERS)))
    missing = 3 - sum(claim is not None for claim in claims)
    assert missing >= 0
    late = [claimer_of(wide).claim(uuid4()) for _ in range(missing + 1)]
    assert [claim is not None for claim in late] == [True] * missing + [False]


def test_points_to_try_first_are_tried_once_each(wide: Database) -> None:
    points = [{"learning_rate": 10**-exponent} for exponent in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)]
    job = submit_job(wide, strategy="bayesian", search_space=SPACE, try_first=points, budget={"trials": 16})
    work_together(wide, [job])
    trials = stored(wide, job)
    assert [trial.params["learning_rate"] for trial in trials[:10]] == [point["learning_rate"] for point in points]
    assert len(trials) == 16


def test_several_jobs_are_all_worked_off(wide: Database) -> None:
    jobs = [submit_job(wide, strategy=strategy, budget={"trials": 8}) for strategy in ("random", "bayesian", "grid")]
    work_together(wide, jobs)
    assert [len(stored(wide, job)) for job in jobs] == [8, 8, 8]
    assert {state_of(wide, job) for job in jobs} == {JobState.COMPLETED}


def test_an_expired_trial_is_taken_over_by_one_worker_only(wide: Database) -> None:
    job = submit_job(wide, budget={"trials": 1})
    first = claimer_of(wide, lease_s=0.01).claim(uuid4())
    assert first is not None
    claimers = [claimer_of(wide) for _ in range(CLAIMERS)]
    barrier = threading.Barrier(CLAIMERS)

    def take(index: int) -> list[Claim]:
        found: list[Claim] = []
        barrier.wait(30)
        wait_until(lambda: _open_attempt(wide) == 2 or bool(_claim_into(claimers[index], found)), "a takeover")
        return found

    with ThreadPoolExecutor(CLAIMERS) as pool:
        taken = [claim for claims in pool.map(take, range(CLAIMERS)) for claim in claims]
    assert [(claim.lease.number, claim.lease.attempt) for claim in taken] == [(0, 2)]
    assert state_of(wide, job) is JobState.RUNNING


def _claim_into(claimer: Any, found: list[Claim]) -> bool:
    claim = claimer.claim(uuid4())
    found.extend([claim] if claim else [])
    return claim is not None


def _open_attempt(database: Database) -> Any:
    with database.transaction() as conn:
        return conn.exec_driver_sql("SELECT attempt FROM stride.leases WHERE ended_at IS NULL").scalar()


def test_a_job_cancelled_in_the_middle_of_it_all_ends_every_trial(wide: Database) -> None:
    job = submit_job(wide, strategy="random", budget={"trials": 10_000})
    barrier = threading.Barrier(CLAIMERS)

    def work(index: int) -> int:
        claimer, lost = claimer_of(wide), 0
        barrier.wait(30)
        while state_of(wide, job) is not JobState.CANCELLED:
            claim = claimer.claim(uuid4())
            if claim is None:
                continue
            if index == 0 and claim.lease.number > 20:
                wide.transact(lambda conn: lifecycle.cancel(conn, job.id))
            try:
                wide.transact(lambda conn, claim=claim: report(conn, job, claim.lease, [measurement(1)], lease_s=LEASE_S))
                conclude(wide, claim, Completed(value=1.0))
            except LeaseLost:
                lost += 1
        return lost

    with ThreadPoolExecutor(CLAIMERS) as pool:
        lost = sum(pool.map(work, range(CLAIMERS)))
    trials = stored(wide, job)
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    stopped = [trial for trial in trials if trial.user_attrs.get("stopped_by") == "cancelled"]
    assert len(stopped) == lost >= 1
    assert all((trial.state is TrialState.PRUNED) == bool(trial.intermediate_values) for trial in stopped)
    assert events(wide, job)[-1] == "job.cancelled"

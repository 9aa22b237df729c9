"""What changes while a sampler runs: it raises, it is overtaken, its job ends."""

from typing import Any
from uuid import uuid4

import optuna
import pytest

from service.dispatch import claim as claim_module
from service.dispatch import lifecycle, start
from service.dispatch.attempt import Claim
from service.search.strategies.bayesian import Tpe
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.dispatch.confirming import CONFIRM, SEARCH, confirmed_job
from tests.integration.dispatch.foreign import foreign
from tests.integration.dispatch.phases import complete_next
from tests.integration.dispatch.training import (
    SPACE,
    claimed,
    claimer_of,
    events,
    stored,
)


class _Raises(optuna.samplers.RandomSampler):
    def infer_relative_search_space(self, *args: Any, **kwargs: Any) -> Any:
        raise ArithmeticError("no point for you")


def test_a_sampler_that_raises_is_an_event_and_that_trial_is_drawn_at_random(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit_job(database, strategy="bayesian", search_space=SPACE)
    claimer = claimer_of(database)
    with monkeypatch.context() as patch:
        patch.setattr(Tpe, "sampler", lambda *args: _Raises())
        broken = claimed(claimer)
    claimed(claimer)
    assert broken.params.keys() == SPACE.keys()
    assert events(database, job).count("sampler.failed") == 1
    assert events(database, job) == ["job.submitted", "job.started", "sampler.failed", "trial.started", "trial.started"]
    with database.transaction() as conn:
        payload = conn.exec_driver_sql("SELECT payload FROM stride.events WHERE type = 'sampler.failed'").scalar()
    assert payload == {"trial": 0, "error": "ArithmeticError: no point for you"}


def during_sampling(monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    """Do something once, while the sampler of the next claim runs."""
    propose, done = start.propose_next, []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        proposal = propose(*args, **kwargs)
        if not done:
            done.append(True)
            action()
        return proposal

    monkeypatch.setattr(start, "propose_next", interrupted)


def test_a_sampler_that_was_overtaken_samples_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit_job(database, strategy="bayesian", search_space=SPACE)
    faster: list[Claim] = []
    during_sampling(monkeypatch, lambda: faster.append(claimed(claimer_of(database))))
    slower = claimed(claimer_of(database))
    assert (faster[0].lease.number, slower.lease.number) == (0, 1)
    assert [trial.number for trial in stored(database, job)] == [0, 1]


def test_a_sampler_that_was_overtaken_by_a_foreign_trial_samples_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit_job(database, strategy="bayesian", search_space=SPACE)

    def enqueue() -> None:
        with foreign(database, job) as study:
            study.enqueue_trial({"learning_rate": 0.125})

    during_sampling(monkeypatch, enqueue)
    assert claimed(claimer_of(database)).params["learning_rate"] == 0.125


@pytest.mark.parametrize("action", ["pause", "cancel", "delete"])
def test_a_job_that_ends_while_its_sampler_runs_gets_no_trial(
    database: Database, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    job = submit_job(database, strategy="bayesian")
    other = submit_job(database, strategy="bayesian", priority=-1)

    def end() -> None:
        with database.transaction() as conn:
            if action == "pause":
                lifecycle.pause(conn, job.id)
            else:
                lifecycle.cancel(conn, job.id)
            if action == "delete":
                lifecycle.delete(conn, job.id)

    during_sampling(monkeypatch, end)
    claimer = claimer_of(database)
    claim = claimer.claim(uuid4()) or claimer.claim(uuid4())
    assert claim is not None
    assert claim.job.id == other.id


def test_the_budget_may_be_used_up_while_the_sampler_runs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit_job(database, strategy="bayesian", budget={"trials": 1})
    during_sampling(monkeypatch, lambda: claimed(claimer_of(database)))
    assert claimer_of(database).claim(uuid4()) is None
    assert len(stored(database, job)) == 1


def test_a_slow_sampler_keeps_others_from_sampling_the_same_point(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_module, "SLOW_S", -1.0)
    job = submit_job(database, strategy="bayesian", search_space=SPACE)
    quick = submit_job(database, priority=-1)
    claimer, other = claimer_of(database), claimer_of(database)
    claimed(claimer)
    claimer._memory.sampling_s[job.id] = 30.0
    found: list[Claim] = []
    during_sampling(monkeypatch, lambda: found.append(claimed(other)))
    claim = claimed(claimer)
    assert (claim.job.id, found[0].job.id) == (job.id, quick.id)
    assert claimed(other).job.id == job.id, "the hint outlived the claim"


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_job_whose_sampler_is_slow_begins_its_next_phase(
    database: Database, monkeypatch: pytest.MonkeyPatch, n_workers: int
) -> None:
    monkeypatch.setattr(claim_module, "SLOW_S", -1.0)
    job = confirmed_job(database, strategy="bayesian")
    claimers = [claimer_of(database) for _ in range(n_workers)]
    for number in range(SEARCH):
        complete_next(database, claimers[number % n_workers])
    for claimer in claimers:
        claimer._memory.sampling_s[job.id] = 30.0
    assert [complete_next(database, claimers[0]).job.phase.position for _ in range(CONFIRM)] == [1] * CONFIRM

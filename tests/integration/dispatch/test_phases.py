"""Jobs of several phases, each with its own space, strategy and share of the budget: which trials there are, and the answer."""

import json
from collections import Counter
from functools import partial
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from service.analysis.answer.best_lr import answer
from service.domain.job import JobState
from service.domain.phase import PHASE
from service.domain.space import parse_space
from service.store import jobs, phases, trial_reader
from service.store.postgres import Database
from tests.factories import submit_job, submit_job_of_phases
from tests.integration.dispatch.phases import (
    HIGH,
    LOW,
    NARROW,
    RATE_ALONE,
    STRATEGIES,
    complete_next,
    is_narrow,
    narrowed,
    phases_of,
)
from tests.integration.dispatch.test_claim import foreign
from tests.integration.dispatch.training import (
    SPACE,
    claimer_of,
    current,
    events,
    run_job,
    state_of,
    stored,
)
from tests.stock_optuna import stock


def test_a_phase_may_decide_its_space_when_it_begins(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit_job_of_phases(database, 3, narrowed("random", space=RATE_ALONE), search_space=RATE_ALONE, budget={"trials": 6})
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.phases SET search_space = %s WHERE position = 1", (json.dumps(RATE_ALONE),))
    decided = partial(phases.begin_next, search_space=parse_space(NARROW))
    monkeypatch.setattr(phases, "begin_next", decided)
    claimers = [claimer_of(database), claimer_of(database)]
    for number in range(6):
        complete_next(database, claimers[number % 2])
    assert all(map(is_narrow, stored(database, job)[3:]))


@pytest.mark.parametrize("second", STRATEGIES)
@pytest.mark.parametrize("first", ["grid", "random", "bayesian"])
def test_every_trial_of_the_second_phase_lies_in_its_space(database: Database, first: str, second: Any) -> None:
    job = submit_job_of_phases(
        database, 7, narrowed(second, space=RATE_ALONE), strategy=first, search_space=RATE_ALONE, budget={"trials": 12}
    )
    claimers = [claimer_of(database), claimer_of(database)]
    for number in range(12):
        assert complete_next(database, claimers[number % 2]).job.phase.position == (number >= 7)
    trials = stored(database, job)
    assert [trial.number for trial in trials] == list(range(12))
    assert phases_of(trials) == [0] * 7 + [1] * 5
    assert not all(map(is_narrow, trials[:7]))
    assert all(map(is_narrow, trials[7:]))
    assert current(database, job).reason == "all trials of the budget have finished"
    assert Counter(events(database, job)) == {
        "job.submitted": 1,
        "job.started": 1,
        "phase.started": 1,
        "trial.started": 12,
        "trial.completed": 12,
        "job.completed": 1,
    }


def test_trials_that_diverge_fail_and_are_pruned_pass_on_to_the_next_phase(database: Database) -> None:
    pruner = {"type": "successive_halving"}
    job = submit_job_of_phases(
        database,
        20,
        narrowed("bayesian"),
        strategy="random",
        search_space=SPACE,
        pruner=pruner,
        budget={"trials": 40, "failures": 40},
    )
    run_job(database, claimer_of(database), claimer_of(database))
    trials = stored(database, job)
    assert phases_of(trials) == [0] * 20 + [1] * 20
    assert all(map(is_narrow, trials[20:]))
    for phase in (trials[:20], trials[20:]):
        assert {trial.state for trial in phase} == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    assert state_of(database, job) is JobState.COMPLETED


def test_what_is_stored_of_a_plain_jobs_trials_names_no_phase(database: Database) -> None:
    job = submit_job(database, search_space=SPACE, budget={"trials": 2})
    run_job(database, claimer_of(database))
    assert all(PHASE not in trial.system_attrs for trial in stored(database, job))


def test_a_later_phase_searches_jointly_from_what_the_earlier_ones_have_tried_in_its_space(database: Database) -> None:
    """As stock TPE does in a study that has only these, under the narrow range."""
    job = submit_job_of_phases(
        database, 30, narrowed("bayesian", space=RATE_ALONE), strategy="random", search_space=RATE_ALONE, budget={"trials": 31}
    )
    claimer = claimer_of(database)
    for _ in range(31):
        complete_next(database, claimer)
    trials = stored(database, job)
    alone = submit_job(database, strategy="bayesian", search_space=RATE_ALONE | NARROW, budget={"trials": 99})
    inside = [trial for trial in trials[:30] if is_narrow(trial)]
    assert 5 < len(inside) < 20
    distributions = trials[30].distributions
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        study = optuna.load_study(study_name=alone.study_name, storage=storage)
        for trial in inside:
            study.add_trial(
                optuna.trial.create_trial(
                    params={name: trial.params[name] for name in distributions},
                    distributions=distributions,
                    value=trial.value,
                )
            )
    snapshot = claimer.cache.snapshot
    with database.transaction() as conn:
        seen_alone, seen = snapshot(conn, jobs.get(conn, alone.id)).trials, snapshot(conn, jobs.get(conn, job.id)).trials
    known = [(trial.params, trial.distributions, trial.values) for trial in seen_alone]
    assert known == [(trial.params, trial.distributions, trial.values) for trial in seen if trial.number < 30]


def test_a_later_phase_sees_a_foreign_trial_as_soon_as_its_parameters_lie_in_its_space(database: Database) -> None:
    job = submit_job_of_phases(database, 1, narrowed("bayesian", space=RATE_ALONE), search_space=RATE_ALONE, budget={"trials": 9})
    claimer = claimer_of(database)
    complete_next(database, claimer)

    def seen() -> list[int]:
        with database.transaction() as conn:
            return [trial.number for trial in claimer.cache.snapshot(conn, jobs.get(conn, job.id)).trials]

    with foreign(database, job) as study:
        trial = study.ask()
        assert complete_next(database, claimer).job.phase.position == 1
        assert trial.number not in seen()
        rate = trial.suggest_float("learning_rate", 0.05, 0.06, log=True)
        study.tell(trial, rate)
    assert trial.number in seen()


def test_the_answer_asks_all_trials_and_has_the_ends_of_the_current_phase(database: Database) -> None:
    job = submit_job_of_phases(database, 20, narrowed("random", space=RATE_ALONE), search_space=RATE_ALONE, budget={"trials": 30})
    claimer = claimer_of(database)

    def answered() -> Any:
        with database.transaction() as conn:
            found = jobs.get(conn, job.id)
            return answer(found, trial_reader.finished(conn, found))

    for _ in range(20):
        complete_next(database, claimer)
    first = answered()
    assert first.at_edge is None
    assert first.learning_rate == pytest.approx(0.01, rel=0.3)
    assert first.curve[-1].learning_rate == pytest.approx(1.0)
    for _ in range(10):
        complete_next(database, claimer)
    second = answered()
    assert second.at_edge == "low"
    assert second.verdict == "search range too narrow"
    assert LOW <= second.learning_rate <= HIGH
    assert [second.curve[0].learning_rate, second.curve[-1].learning_rate] == pytest.approx([LOW, HIGH])
    assert second.evidence.trials == 30


def test_trials_at_another_value_of_what_the_current_phase_fixes_are_not_asked(database: Database) -> None:
    space = RATE_ALONE | {"batch_size": {"type": "categorical", "choices": [16, 32]}}
    later = {"search_space": space | {"batch_size": 32}, "strategy": "random"}
    job = submit_job_of_phases(database, 20, later, search_space=space, budget={"trials": 30})
    claimer = claimer_of(database)
    for _ in range(30):
        complete_next(database, claimer)
    of_32 = sum(trial.params.get("batch_size", 32) == 32 for trial in stored(database, job))
    with database.transaction() as conn:
        found = jobs.get(conn, job.id)
        answered = answer(found, trial_reader.finished(conn, found))
    assert 10 < of_32 < 30
    assert answered.evidence.trials == of_32
    assert "batch_size" not in answered.params

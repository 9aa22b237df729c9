"""A job of several phases, each with its own search space, strategy and share of the budget."""

import math
import time
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import optuna
import pytest
import sqlalchemy as sa
from optuna.trial import FrozenTrial, TrialState

from service.analysis.answer.best_lr import answer
from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.outcome import Completed
from service.dispatch.renew import report, should_prune
from service.dispatch.submit import add_phase
from service.dispatch.sweeper import tidy_up
from service.domain.job import Job, JobState
from service.domain.phase import PHASE
from service.domain.training_seeds import TRAINING_SEED, replicate_seed
from service.search.strategies import grid
from service.store import claims, jobs, trial_reader
from service.store.postgres import Database
from tests.factories import job_spec, measurement, set_budget, set_share, submit_job, submit_job_of_phases
from tests.integration.dispatch.test_claim import foreign
from tests.integration.dispatch.test_concurrency import work_together
from tests.integration.dispatch.test_takeover import expire
from tests.integration.dispatch.training import (
    LEASE_S,
    SPACE,
    claimed,
    claimer_of,
    conclude,
    current,
    events,
    run_job,
    run_trial,
    state_of,
    stored,
)
from tests.processes import at_once, wait_for_the_others
from tests.stock_optuna import stock

LOW, HIGH = 0.02, 0.3
NARROW: dict[str, Any] = {"learning_rate": {"type": "float", "low": LOW, "high": HIGH, "log": True, "points": 5}}
RATE_ALONE: dict[str, Any] = {"learning_rate": SPACE["learning_rate"], "epochs": 4, "momentum": 0.9, "warmup": 0}
QMC: dict[str, Any] = {"type": "random", "sampler": "qmc"}
STRATEGIES: list[Any] = ["grid", "random", QMC, "bayesian", {"type": "bayesian", "sampler": "gp"}]


def narrowed(strategy: Any, trials: int | None = None, space: dict[str, Any] = SPACE) -> dict[str, Any]:
    """A phase over a narrower range of the rate."""
    return {"search_space": space | NARROW, "strategy": strategy, "trials": trials}


def is_narrow(trial: FrozenTrial) -> bool:
    return bool(LOW <= trial.params["learning_rate"] <= HIGH)


def phases_of(trials: list[FrozenTrial]) -> list[int]:
    return [trial.system_attrs.get(PHASE, 0) for trial in trials]


def complete(database: Database, claim: Claim) -> None:
    """With the parabola's value, whose best rate is 0.01."""
    conclude(database, claim, Completed(value=math.log10(claim.params["learning_rate"] / 0.01) ** 2))


def complete_next(database: Database, claimer: Claimer) -> Claim:
    claim = claimed(claimer)
    complete(database, claim)
    return claim


def add_foreign(database: Database, job: Job, count: int) -> None:
    with foreign(database, job) as study:
        for _ in range(count):
            study.add_trial(optuna.trial.create_trial(value=0.0))


# A whole job


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


# Shares


@pytest.mark.parametrize(
    "strategies", [("random", QMC, "bayesian"), ("grid", "bayesian", "random"), ("bayesian", "grid", "grid")]
)
def test_shares_are_met_exactly_by_many_claimers(wide: Database, strategies: tuple[Any, ...]) -> None:
    first, second, third = strategies
    job = submit_job_of_phases(
        wide, 9, narrowed(second, 4), narrowed(third), strategy=first, search_space=SPACE, budget={"trials": 24}
    )
    work_together(wide, [job])
    trials = stored(wide, job)
    assert [trial.number for trial in trials] == list(range(24))
    assert phases_of(trials) == [0] * 9 + [1] * 4 + [2] * 11
    assert all(map(is_narrow, trials[9:]))
    assert current(wide, job).reason == "all trials of the budget have finished"


def test_a_job_ends_with_the_share_of_its_last_phase(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("random", 3), search_space=SPACE, budget={"trials": 99})
    run_job(database, claimer_of(database))
    assert len(stored(database, job)) == 5
    assert state_of(database, job) is JobState.COMPLETED


def test_no_phase_goes_beyond_the_budget(database: Database) -> None:
    job = submit_job_of_phases(
        database, 2, narrowed("random", 9), narrowed("random", 9), search_space=SPACE, budget={"trials": 5}
    )
    run_job(database, claimer_of(database))
    assert phases_of(stored(database, job)) == [0, 0, 1, 1, 1]
    assert state_of(database, job) is JobState.COMPLETED


def test_a_job_without_a_budget_of_trials_goes_through_its_phases(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("random"), budget={"target": 0.0})
    claimer = claimer_of(database)
    for _ in range(4):
        conclude(database, claimed(claimer), Completed(value=1.0))
    assert phases_of(stored(database, job)) == [0, 0, 1, 1]
    conclude(database, claimed(claimer), Completed(value=-1.0))
    assert current(database, job).reason == "target reached: -1"


def test_foreign_trials_take_numbers_of_the_phase_in_which_they_come(database: Database) -> None:
    job = submit_job_of_phases(database, 3, narrowed("random", 3), search_space=SPACE, budget={"trials": 6})
    claimer = claimer_of(database)
    complete_next(database, claimer)
    add_foreign(database, job, 2)
    run_job(database, claimer)
    assert phases_of(stored(database, job)) == [0, 0, 0, 1, 1, 1]
    assert state_of(database, job) is JobState.COMPLETED


def test_foreign_trials_that_leave_nothing_for_a_later_phase_end_the_job(database: Database) -> None:
    grid_of_two = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True, "points": 2}, "momentum": 0.9}
    job = submit_job_of_phases(database, 2, narrowed("random"), strategy="grid", search_space=grid_of_two, budget={"trials": 4})
    claimer = claimer_of(database)
    complete_next(database, claimer)
    add_foreign(database, job, 3)
    complete_next(database, claimer)
    assert claimer.claim(uuid4()) is None
    assert (current(database, job).phase.position, state_of(database, job)) == (0, JobState.COMPLETED)


def test_a_job_whose_last_numbers_a_foreign_script_took_in_its_last_phase_is_completed_by_the_sweeper(database: Database) -> None:
    job = submit_job_of_phases(database, 1, narrowed("random"), budget={"trials": 3})
    claimer = claimer_of(database)
    complete_next(database, claimer)
    tidy_up(database)
    assert state_of(database, job) is JobState.RUNNING, "its second phase has not begun"
    complete_next(database, claimer)
    add_foreign(database, job, 1)
    tidy_up(database)
    assert state_of(database, job) is JobState.COMPLETED


def test_a_budget_that_a_foreign_script_used_up_before_the_second_phase_is_completed_by_the_sweeper(database: Database) -> None:
    job = submit_job_of_phases(database, 1, narrowed("random"), budget={"trials": 3})
    complete_next(database, claimer_of(database))
    add_foreign(database, job, 2)
    tidy_up(database)
    assert state_of(database, job) is JobState.COMPLETED


# What happens at the border


def test_running_trials_of_the_phase_before_are_not_waited_for(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("bayesian"), budget={"trials": 4})
    claimer = claimer_of(database)
    running = [claimed(claimer) for _ in range(4)]
    assert [claim.job.phase.position for claim in running] == [0, 0, 1, 1]
    for claim in reversed(running):
        assert state_of(database, job) is JobState.RUNNING
        complete(database, claim)
    assert state_of(database, job) is JobState.COMPLETED


def test_no_more_trials_run_at_once_over_the_border_than_the_job_allows(database: Database) -> None:
    submit_job_of_phases(database, 3, narrowed("random"), budget={"trials": 6}, max_parallel=2)
    claimer = claimer_of(database)
    running = [claimed(claimer), claimed(claimer)]
    for position in (0, 1, 1, 1):
        assert claimer.claim(uuid4()) is None
        complete(database, running.pop(0))
        running.append(claimed(claimer))
        assert running[-1].job.phase.position == position


def test_a_job_paused_at_the_border_goes_on_with_its_next_phase(database: Database) -> None:
    job = submit_job_of_phases(database, 2, narrowed("random"), budget={"trials": 3})
    claimer = claimer_of(database)
    first, second = claimed(claimer), claimed(claimer)
    complete(database, first)
    database.transact(lambda conn: lifecycle.pause(conn, job.id))
    complete(database, second)
    assert claimer.claim(uuid4()) is None
    assert state_of(database, job) is JobState.PAUSED
    database.transact(lambda conn: lifecycle.resume(conn, job.id))
    assert state_of(database, job) is JobState.RUNNING, "a phase is left"
    assert complete_next(database, claimer).job.phase.position == 1
    assert state_of(database, job) is JobState.COMPLETED


def test_a_cancel_ends_the_trials_of_every_phase(database: Database) -> None:
    job = submit_job_of_phases(database, 1, narrowed("random"), budget={"trials": 3})
    claimer = claimer_of(database)
    claimed(claimer), claimed(claimer)
    database.transact(lambda conn: lifecycle.cancel(conn, job.id))
    assert [trial.state for trial in stored(database, job)] == [TrialState.FAIL] * 2
    assert claimer.claim(uuid4()) is None


def test_a_trial_taken_over_in_a_later_phase_is_the_one_that_it_was(database: Database) -> None:
    """It lies outside of the later space, where a parameter that it searched is fixed, too."""
    space = {"learning_rate": SPACE["learning_rate"], "momentum": {"type": "float", "low": 0.0, "high": 0.5}, "epochs": 4}
    later = {"search_space": space | NARROW | {"momentum": 0.9, "epochs": 2}, "strategy": "bayesian"}
    job = submit_job_of_phases(
        database, 1, later, strategy="random", search_space=space, budget={"trials": 2}, pruner="median", seed=1
    )
    first, second = claimed(claimer_of(database)), claimed(claimer_of(database))
    assert not LOW <= first.params["learning_rate"] <= HIGH
    expire(database, first)
    claimer = claimer_of(database)
    again = claimed(claimer)
    assert (again.params, again.training_seed, again.lease.attempt) == (first.params, first.training_seed, 2)
    assert (again.job.phase.position, second.job.phase.position) == (0, 1)
    assert (again.params["epochs"], second.params["epochs"], second.params["momentum"]) == (4, 2, 0.9)
    database.transact(lambda conn: report(conn, again.job, again.lease, [measurement(1)], lease_s=LEASE_S))
    assert not should_prune(database, claimer.cache, again.job, again.lease)
    retried = claimer.retry(again, uuid4(), "killed", "")
    assert retried is not None
    assert (retried.params, retried.job.phase.position) == (first.params, 0)
    assert claimer.reclaim(retried.lease.token) == retried
    with database.transaction() as conn:
        shown = trial_reader.page(conn, jobs.get(conn, job.id), limit=9)
    assert [trial.params for trial in shown] == [first.params, second.params]
    complete(database, retried)
    complete(database, second)
    assert state_of(database, job) is JobState.COMPLETED


def test_an_enqueued_trial_belongs_to_the_phase_in_which_it_is_claimed(database: Database) -> None:
    tried = [{"learning_rate": 1e-5}]
    job = submit_job_of_phases(database, 2, narrowed("bayesian"), try_first=tried, search_space=SPACE, budget={"trials": 5})
    claimer = claimer_of(database)
    for _ in range(3):
        complete_next(database, claimer)
    with foreign(database, job) as study:
        study.enqueue_trial({"learning_rate": 0.25})
    run_job(database, claimer)
    trials = stored(database, job)
    assert phases_of(trials) == [0, 0, 1, 1, 1]
    assert [trials[0].params["learning_rate"], trials[3].params["learning_rate"]] == [1e-5, 0.25]


def test_trials_that_wait_when_the_share_is_issued_are_claimed_before_the_next_phase(database: Database) -> None:
    tried = [{"learning_rate": rate} for rate in (1e-5, 1e-4, 1e-3)]
    job = submit_job_of_phases(database, 2, narrowed("random"), try_first=tried, search_space=SPACE, budget={"trials": 4})
    run_job(database, claimer_of(database))
    assert phases_of(stored(database, job)) == [0, 0, 0, 1]


# Points and seeds


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


# The answer


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


# What another process changes


def test_a_larger_budget_and_a_new_phase_reach_workers_that_know_the_job(wide: Database) -> None:
    job = submit_job(wide, search_space=SPACE, strategy="bayesian", budget={"trials": 3})
    claimer = claimer_of(wide)
    for _ in range(2):
        complete_next(wide, claimer)
    with wide.transaction() as conn:
        set_budget(conn, job, 6)
    for _ in range(2):
        complete_next(wide, claimer)
    with wide.transaction() as conn:
        set_share(conn, job, 0, 5)
        add_phase(conn, job.id, 1, job_spec(search_space=SPACE | NARROW, strategy="bayesian"))
        set_budget(conn, job, 7)
    run_job(wide, claimer)
    trials = stored(wide, job)
    assert phases_of(trials) == [0] * 5 + [1] * 2
    assert state_of(wide, job) is JobState.COMPLETED


def work(url: str, job_id: UUID) -> None:
    """A worker in a process of its own, until the job is over."""
    database = Database(url)
    claimer = claimer_of(database)
    wait_for_the_others()
    while database.transact(lambda conn: jobs.get(conn, job_id)).state in (JobState.QUEUED, JobState.RUNNING):
        claim = claimer.claim(uuid4())
        if claim is not None:
            run_trial(database, claimer, claim)
    database.close()


def change(url: str, job_id: UUID, first: Any, second: Any) -> list[int]:
    """Somebody who twice ends the current phase where it is, adds another, and gives it more of a larger budget; the numbers at
    which the phases end."""
    database = Database(url)
    wait_for_the_others()
    ends: list[int] = []

    def end_phase(conn: sa.Connection, after: int, strategy: Any) -> int | None:
        job = jobs.lock_with_study(conn, job_id)
        issued = claims.issued(conn, job)
        if issued.next_number < after:
            return None
        position = len(ends)
        set_share(conn, job, position, issued.next_number - job.phase.first_number)
        add_phase(conn, job_id, position + 1, job_spec(search_space=SPACE | NARROW, strategy=strategy))
        conn.exec_driver_sql(
            "UPDATE stride.jobs SET budget_trials = %(trials)s WHERE id = %(id)s",
            {"trials": issued.next_number + 12, "id": job_id},
        )
        return issued.next_number

    for strategy in (first, second):
        after = 5 if not ends else ends[-1] + 4
        while (end := database.transact(lambda conn, after=after, strategy=strategy: end_phase(conn, after, strategy))) is None:  # type: ignore[misc]
            time.sleep(0.002)
        ends.append(end)
    database.close()
    return ends


@pytest.mark.parametrize(("first", "second"), [("bayesian", "random"), (QMC, "grid")])
def test_phases_and_budgets_that_another_process_changes_while_workers_claim(
    database: Database, database_url: str, first: Any, second: Any
) -> None:
    job = submit_job(database, search_space=SPACE, strategy="bayesian", budget={"trials": 40, "failures": 99}, pruner="median")
    results = at_once([(change, (database_url, job.id, first, second)), *[(work, (database_url, job.id))] * 3])
    [begun, ended] = results[0]
    trials = stored(database, job)
    assert [trial.number for trial in trials] == list(range(ended + 12))
    assert phases_of(trials) == [0] * begun + [1] * (ended - begun) + [2] * 12
    assert all(map(is_narrow, trials[begun:]))
    assert state_of(database, job) is JobState.COMPLETED

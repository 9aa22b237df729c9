from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from service.domain.budget import Issued, all_issued, phase_issued, spec_of_phase, target_reached, trials_of_phase, verdict
from service.domain.job import Job, JobState
from service.domain.objective import Direction
from service.domain.phase import Phase
from service.domain.request import Budget
from tests.factories import job_spec


def running_job(
    next_point: int = 0,
    *,
    counts_points: bool = False,
    first_number: int = 0,
    share: int | None = None,
    has_next_phase: bool = False,
    **spec: Any,
) -> Job:
    complete = job_spec(**spec)
    return Job(
        id=uuid4(),
        name=None,
        state=JobState.RUNNING,
        reason=None,
        spec=complete,
        budget=complete.budget,
        phases=(Phase(spec=complete, counts_points=counts_points, first_number=first_number),),
        study_id=1,
        study_name="study",
        share=share,
        has_next_phase=has_next_phase,
        next_point=next_point,
        failures_in_a_row=0,
        deadline_at=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        started_at=None,
        finished_at=None,
    )


def judged(job: Job, **overrides: Any) -> tuple[JobState, str] | None:
    trial: dict[str, Any] = {"failures_in_a_row": 0, "value": None, "error": None}
    given = {name: overrides.pop(name) for name in trial.keys() & overrides.keys()}
    return verdict(job, issued(**overrides), **trial | given)


def issued(next_number: int = 0, *, open_leases: int = 0, waiting: bool = False, **overrides: Any) -> Issued:
    return Issued(next_number=next_number, open_leases=open_leases, waiting_trial_id=7 if waiting else None, **overrides)


def test_a_budget_of_trials_counts_numbers() -> None:
    job = running_job(budget={"trials": 10})
    assert not all_issued(job, issued(9))
    assert all_issued(job, issued(10))
    assert all_issued(job, issued(11))


def test_a_grid_counts_its_own_points_and_not_the_numbers_that_foreign_trials_took() -> None:
    assert not all_issued(running_job(next_point=9, counts_points=True), issued(30))
    assert all_issued(running_job(next_point=10, counts_points=True), issued(10))


def test_a_job_without_a_budget_of_trials_is_never_all_issued() -> None:
    assert not all_issued(running_job(budget={"seconds": 60}), issued(1_000_000))


def test_a_phase_counts_the_numbers_from_its_first_on() -> None:
    job = running_job(budget={"trials": 20}, first_number=8, share=4)
    assert [phase_issued(job, next_number=number) for number in (8, 11, 12, 13)] == [False, False, True, True]


def test_a_phase_without_a_share_has_what_the_job_has_left() -> None:
    job = running_job(budget={"trials": 20}, first_number=8)
    assert not phase_issued(job, next_number=19)
    assert phase_issued(job, next_number=20)
    assert not phase_issued(running_job(budget={"seconds": 60}, first_number=8), next_number=1_000_000)


def test_no_share_goes_beyond_the_budget() -> None:
    job = running_job(budget={"trials": 10}, first_number=8, share=99)
    assert trials_of_phase(job) == 2
    assert phase_issued(job, next_number=10)


def test_a_phase_that_counts_points_counts_its_own() -> None:
    job = running_job(3, counts_points=True, first_number=8, share=4, budget={"trials": 20})
    assert not phase_issued(job, next_number=19)
    assert phase_issued(replace(job, next_point=4), next_number=12)


def test_a_job_is_all_issued_with_its_last_phase_or_when_its_budget_leaves_none_for_the_next() -> None:
    last = running_job(budget={"trials": 10}, share=4)
    earlier = replace(last, has_next_phase=True)
    assert all_issued(last, issued(4))
    assert not all_issued(earlier, issued(4))
    assert not all_issued(earlier, issued(9))
    assert all_issued(earlier, issued(10))
    endless = running_job(budget={"seconds": 60}, share=4, has_next_phase=True)
    assert not all_issued(endless, issued(1_000_000))
    assert judged(earlier, next_number=4) is None
    assert judged(last, next_number=4) is not None


def test_the_budget_as_it_stands_is_the_one_that_counts() -> None:
    job = running_job(budget={"trials": 10, "failures": 2, "target": 0.0})
    changed = replace(job, budget=Budget(trials=12, failures=3, target=1.0))
    assert not all_issued(changed, issued(11))
    assert target_reached(changed, 0.5)
    assert judged(changed, failures_in_a_row=2, error="E: e") is None


def test_a_strategy_is_told_where_its_phase_ends_and_all_else_as_submitted() -> None:
    plain = running_job(budget={"trials": 10})
    assert spec_of_phase(plain) is plain.spec
    job = running_job(budget={"trials": 20}, first_number=8, share=4)
    assert spec_of_phase(job).budget.trials == 12
    assert spec_of_phase(replace(job, share=None)).budget.trials == 20
    assert spec_of_phase(running_job(budget={"seconds": 60})).budget.trials is None


@pytest.mark.parametrize(
    ("direction", "value", "reached"),
    [
        ("minimize", 0.2, False),
        ("minimize", 0.1, True),
        ("minimize", float("inf"), False),
        ("maximize", 0.0, False),
        ("maximize", 0.1, True),
        ("maximize", float("-inf"), False),
    ],
)
def test_a_target_is_reached_by_a_value_at_least_as_good(direction: Direction, value: float, reached: bool) -> None:
    assert target_reached(running_job(direction=direction, budget={"target": 0.1}), value) is reached


def test_a_trial_without_a_value_reaches_no_target() -> None:
    assert not target_reached(running_job(budget={"target": 0.1}), None)


def test_a_target_of_zero_is_a_target() -> None:
    assert target_reached(running_job(budget={"target": 0.0}), -1.0)
    assert not target_reached(running_job(budget={"target": 0.0}), 1.0)


def test_a_job_completes_when_everything_is_issued_and_nothing_is_leased_or_waiting() -> None:
    job = running_job(budget={"trials": 10})
    assert judged(job, next_number=9) is None
    assert judged(job, next_number=10, open_leases=1) is None
    assert judged(job, next_number=10, waiting=True) is None
    assert judged(job, next_number=10) == (JobState.COMPLETED, "all trials of the budget have finished")


def test_a_job_whose_trials_all_failed_has_failed_though_they_were_fewer_than_end_a_job() -> None:
    three, one = running_job(budget={"trials": 3}), running_job(budget={"trials": 1})
    assert judged(three, next_number=3, failures_in_a_row=3, error="ValueError: no") == (
        JobState.FAILED,
        "all 3 trials failed; the last error: ValueError: no",
    )
    assert judged(one, next_number=1, failures_in_a_row=1, error="ValueError: no") == (
        JobState.FAILED,
        "its only trial failed: ValueError: no",
    )
    assert judged(three, next_number=3, failures_in_a_row=2, error="ValueError: no") == (
        JobState.COMPLETED,
        "all trials of the budget have finished",
    )


def test_too_many_failures_in_a_row_fail_the_job_and_the_reason_names_the_error() -> None:
    job = running_job(budget={"trials": 10, "failures": 3})
    assert judged(job, failures_in_a_row=2, error="ValueError: no") is None
    assert judged(job, failures_in_a_row=3, error="ValueError: no") == (
        JobState.FAILED,
        "3 trials failed in a row; the last one: ValueError: no",
    )


def test_a_job_that_allows_no_failure_says_so_in_good_english() -> None:
    job = running_job(budget={"trials": 10, "failures": 1})
    assert judged(job, failures_in_a_row=1, error="ValueError: no") == (JobState.FAILED, "a trial failed: ValueError: no")


def test_five_failures_in_a_row_fail_a_job_that_says_nothing_of_failures() -> None:
    assert judged(running_job(budget={"trials": 10}), failures_in_a_row=4, error="E: e") is None
    assert judged(running_job(budget={"trials": 10}), failures_in_a_row=5, error="E: e") is not None


def test_a_job_that_fails_with_its_last_trial_has_failed() -> None:
    job = running_job(budget={"trials": 3, "failures": 3})
    found = judged(job, next_number=3, failures_in_a_row=3, error="E: e")
    assert found is not None
    assert found[0] is JobState.FAILED

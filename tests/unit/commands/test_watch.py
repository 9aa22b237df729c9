from typing import Any

import pytest

from service.commands.watch import describe, seconds_left

ROLES = {"learning_rate": "learning_rate"}


def job(*, state: str = "running", planned: int | None = 64, complete: int = 0, running: int = 0, **more: Any) -> dict[str, Any]:
    trials = {"planned": planned, "complete": complete, "running": running, "infeasible": 0, "pruned": 0, "failed": 0}
    return {
        "state": state,
        "phase": "search",
        "progress": {"trials": trials},
        "best": None,
        "waiting_for": None,
        "roles": ROLES,
    } | more


def test_a_job_under_way_is_told_in_one_line() -> None:
    best = {"number": 3, "value": 0.041234, "params": {"learning_rate": 0.0213456}}
    told = describe(job(complete=12, running=2, best=best), left_s=100.2)
    assert told == "running 12/64, 2 running, best trial 0.04123 at learning rate 0.02135, about 0:01:40 left"


def test_a_job_that_confirms_says_so_while_it_runs() -> None:
    assert describe(job(complete=60, phase="confirm"), None) == "running 60/64, confirming the best points"
    assert describe(job(state="completed", complete=64, phase="confirm"), None) == "completed 64/64"


def test_a_job_that_nobody_works_on_says_what_it_waits_for() -> None:
    assert (
        describe(job(state="queued", waiting_for="a worker that offers x"), None)
        == "queued 0/64, waiting for a worker that offers x"
    )


def test_a_best_trial_may_have_diverged_or_lack_a_learning_rate() -> None:
    assert describe(job(complete=1, best={"number": 0, "value": None, "params": {}}), None) == "running 1/64, best trial -"


def test_the_time_left_follows_the_pace_seen_so_far() -> None:
    assert seconds_left(job(complete=16), watched_s=10.0, done=8) == pytest.approx(60.0)


@pytest.mark.parametrize(("planned", "done"), [(None, 8), (64, 0)])
def test_without_a_plan_or_a_pace_no_time_is_told(planned: int | None, done: int) -> None:
    assert seconds_left(job(planned=planned, complete=done), watched_s=10.0, done=done) is None

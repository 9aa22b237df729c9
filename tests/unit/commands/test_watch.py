from typing import Any

import pytest
from rich.console import Console

from service.commands.progress import lines
from service.commands.watch import describe, seconds_left
from service.domain.answer import Answer
from tests.unit.commands.answers import LITTLE_KNOWN

ROLES = {"learning_rate": "learning_rate"}


def job(*, state: str = "running", planned: int | None = 64, complete: int = 0, running: int = 0, **more: Any) -> dict[str, Any]:
    trials = {"planned": planned, "waiting": 0, "running": running}
    trials |= {"complete": complete, "infeasible": 0, "pruned": 0, "failed": 0}
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


def drawn(job: dict[str, Any], left_s: float | None = None, answer: Answer | None = None) -> list[str]:
    console = Console(width=80, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(lines(job, left_s, answer, "http://127.0.0.1:8000/jobs/8d8a199b"))
    return [line.strip() for line in captured.get().splitlines()]


def test_in_place_a_job_shows_its_trials_its_rate_with_its_range_and_the_time_left() -> None:
    known = {"learning_rate": 0.0213456, "params": {"batch_size": 16}, "interval_at_params": {"low": 0.011, "high": 0.0432}}
    best = {"number": 3, "value": 0.041234, "params": {"learning_rate": 0.03}}
    head, *rest = drawn(job(complete=12, running=2, best=best), 100.2, Answer.model_validate(LITTLE_KNOWN | known))
    assert head.startswith("running ━")
    assert head.endswith("12/64 about 0:01:40 left")
    assert rest == [
        "2 running, 12 complete",
        "best rate so far 0.02135 with batch_size=16, 90%: 0.011 to 0.0432; needs more",
        "trials",
        "best trial 0.04123 at learning rate 0.03",
        "http://127.0.0.1:8000/jobs/8d8a199b",
    ]


def test_in_place_nothing_is_said_of_what_is_not_known() -> None:
    assert drawn(job(planned=None, state="queued", waiting_for="a worker"))[1:] == [
        "waiting for a worker",
        "http://127.0.0.1:8000/jobs/8d8a199b",
    ]
    assert "left" not in " ".join(drawn(job(state="paused", complete=3), 10.0))


def test_a_job_whose_trials_all_diverged_has_no_rate_yet() -> None:
    diverged = Answer.model_validate(LITTLE_KNOWN | {"verdict": "all diverged"})
    assert "no rate yet: all diverged" in drawn(job(complete=3), answer=diverged)

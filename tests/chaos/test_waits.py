"""Which waits count: those in which a worker could have continued the job."""

from typing import Any

import pytest

from tests.chaos.timeline import importing
from tests.chaos.waits import Circumstances, Interval, WorkerTimes, longest_wait

ALWAYS = Interval(0.0, 100.0)
OPEN, PROGRESS = [Interval(10.0, 50.0)], [12.0, 32.0, 49.0]
"""The longest wait is from 12 to 32."""


def worker(**overrides: Any) -> WorkerTimes:
    """An idle worker that is available all the time."""
    return WorkerTimes(**{"life": ALWAYS, "away": [], "trainer_away": [], "leases": []} | overrides)


def counted(*workers: WorkerTimes, outages: tuple[Interval, ...] = ()) -> float:
    wait = longest_wait("job", OPEN, PROGRESS, Circumstances(outages=outages, workers=workers))
    assert wait is not None
    return wait.counted_s


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [
        ([worker()], 20),
        ([worker(leases=[(Interval(12.0, 32.0), "job")])], 20),
        ([worker(leases=[(Interval(15.0, 30.0), "another")])], 5),
        ([worker(leases=[(Interval(15.0, 30.0), "another")]), worker()], 20),
        ([worker(life=Interval(30.0, 100.0))], 2.0),
        ([worker(away=[Interval(0.0, 22.0)])], 10),
        ([worker(trainer_away=[Interval(20.0, 25.0)])], 15),
        # The worker that trains it keeps it, though another one is idle.
        ([worker(leases=[(ALWAYS, "job")], trainer_away=[Interval(12.0, 20.0)]), worker()], 12),
        # The worker that trained it was killed: another one could have taken over.
        ([worker(leases=[(ALWAYS, "job")], life=Interval(0.0, 13.0)), worker()], 20),
    ],
)
def test_a_wait_counts_while_a_worker_could_go_on(workers: list[WorkerTimes], seconds: float) -> None:
    # Without workers the wait from 32 on, of 17 seconds, may be the longest.
    assert counted(*workers) == pytest.approx(max(seconds, counted_late(*workers)))


def counted_late(*workers: WorkerTimes) -> float:
    wait = longest_wait("job", [Interval(32.0, 50.0)], PROGRESS[1:], Circumstances(outages=(), workers=workers))
    assert wait is not None
    return wait.counted_s


def test_an_outage_does_not_count() -> None:
    assert counted(worker(), outages=(Interval(0.0, 20.0), Interval(25.0, 60.0))) == pytest.approx(5.0)


def test_time_at_which_the_job_was_paused_does_not_count() -> None:
    around = Circumstances(outages=(), workers=[worker()])
    wait = longest_wait("job", [Interval(10.0, 15.0), Interval(30.0, 36.0)], [12.0], around)
    assert wait is not None
    assert wait.during == Interval(30.0, 36.0)


def test_what_trains_an_objective_is_imported_with_the_first_trial_of_it_in_each_trainer() -> None:
    leases = [(Interval(at, at + 5.0), job) for at, job in ((60.0, "b"), (10.0, "a"), (20.0, "a"), (30.0, "b"), (40.0, "c"))]
    objectives = {"a": "quadratic", "b": "digits", "c": "digits"}
    assert list(importing([0.0, 50.0], leases, objectives, 7.0)) == [
        Interval(10.0, 17.0),
        Interval(30.0, 37.0),
        Interval(60.0, 67.0),
    ]

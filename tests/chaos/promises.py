"""The promises that a run must keep, checked on what it left."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from tests.chaos import verify
from tests.chaos.history import History, JobHistory
from tests.chaos.jobs import Submission
from tests.chaos.record import Record
from tests.chaos.verify import Check, check
from tests.chaos.waits import Wait

HEARTBEAT_S, LEASE_S, TIMEOUT_S, CHECKPOINT_S = 0.5, 2.0, 1.5, 0.5
SLACK_S = 5.0
"""Seconds beyond the lease and the database timeout for which an open job may make no progress."""


@dataclass(frozen=True, kw_only=True)
class FaultyRun:
    """What a faulty run left."""

    submitted: Sequence[Submission]
    history: History
    record: Record
    shown: Mapping[str, Mapping[str, int]]
    """The progress that the API shows, by name of the job."""
    mistakes: Sequence[str]
    """Answers 500, and processes that ended without a fault."""
    warm_s: float
    until: float
    not_possible: Sequence[str]


def check_all(left: FaultyRun, calm: Sequence[JobHistory], found: Sequence[tuple[JobHistory, Wait]]) -> Iterator[Check]:
    """Check every promise. calm: the comparable jobs of a calm run. found: the longest wait of each job."""
    jobs, names = left.history.jobs, [submission.document["name"] for submission in left.submitted]
    comparable = [submission.document["name"] for submission in left.submitted if submission.kind.comparable]

    def each(of_job: Callable[[JobHistory], Iterable[str]]) -> Iterator[str]:
        return chain.from_iterable(map(of_job, jobs))

    yield check("every job that was submitted is there once, and reached its budget", verify.unfinished(jobs, names))
    yield check("trial numbers are 0 to n-1, each with a result", each(verify.wrong_numbers))
    yield check("each trial was started and finished exactly once", each(verify.double_results))
    yield check(
        "each candidate was confirmed as often as any other, each time with a seed of its own", each(verify.wrongly_confirmed)
    )
    yield check("no lease is open, attempts are 1 to n", each(verify.open_leases))
    yield check("no event is lost", each(verify.lost_events))
    yield check("the API shows what the rows hold", each(lambda job: verify.wrong_progress(job, left.shown[job.name])))
    yield check(
        "curves have no gaps, are the same when trained again, equal Optuna's copy, and end with the trial",
        each(verify.broken_curves),
    )
    yield check(
        f"attempts go back by at most one checkpoint interval ({CHECKPOINT_S:g} s) and a step, two when the newest was damaged",
        each(lambda job: verify.too_far_back(job, CHECKPOINT_S)),
    )
    yield check("only what was damaged is found damaged", verify.undamaged_discards(left.history, left.record.damaged))
    yield check("the calm run reached every budget", verify.unfinished(calm, comparable))
    yield check(
        "grid and random jobs equal those of the calm run, trial for trial and step for step",
        verify.changed_results(calm, {job.name: job for job in jobs}),
    )
    longest_s = LEASE_S + TIMEOUT_S + SLACK_S
    yield check(
        f"no open job stalled for more than {longest_s:g} s in which a worker could have continued it",
        (
            f"job {job.name} stalled for {wait.counted_s:.1f} s of the {wait.during.end - wait.during.begin:.1f} s from"
            f" {datetime.fromtimestamp(wait.during.begin, UTC):%H:%M:%S}"
            for job, wait in found
            if wait.counted_s > longest_s
        ),
    )
    yield check("no process ended without a fault, and the API answered no 500", left.mistakes)

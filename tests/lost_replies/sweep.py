"""For k = 1, 2, ...: the reply to the k-th commit of a kind is dropped, until a run has no k-th one. A random schedule of faults
can miss every window; a sweep cannot.

Each run is one small job, trained by one worker, and is compared with the same job without faults. In a sweep that kills, the
process that committed is killed between its commit and the reply, and another takes its place.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

from tests.chaos import verify
from tests.chaos.compare import differences
from tests.chaos.history import END_EVENTS, JobHistory
from tests.lost_replies.stage import Stage

RUN_S = 60.0
"""Seconds for a job of a second or two to end."""
LOOK_S = 0.02
EXTENDED_BY = 2
"""Trials: one searches, one confirms."""


def training(trials: int, steps: int, **settings: Any) -> dict[str, Any]:
    """A job that reports each step by itself, with a checkpoint after each step: so every run commits equally often.

    A trainer waits at each part of a trial's schedule until what it measured is stored, though no trial is ever pruned.
    """
    return {
        "objective": {"name": "quadratic", "settings": {"epoch_s": 0.05} | settings},
        "search_space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.4, "log": True}, "epochs": steps},
        "strategy": "random",
        "pruner": {"type": "median", "parts": steps, "startup_trials": 10_000},
        "budget": {"trials": trials, "failures": trials + 1},
        "seed": 4,
    }


def undisturbed(stage: Stage, job_id: str) -> None:
    """Only training."""
    _wait_for(stage, job_id, DONE)


def with_a_pause(stage: Stage, job_id: str) -> None:
    """Paused in the middle of the first trial, and resumed when that has been released."""
    _wait_for(stage, job_id, MEASURED)
    assert stage.client.move(job_id, "pause"), "the job was over before it could be paused"
    _wait_for(stage, job_id, GIVEN_BACK)
    stage.client.move(job_id, "resume")  # a retry may come when the job is over
    _wait_for(stage, job_id, DONE)


def with_a_cancel(stage: Stage, job_id: str) -> None:
    """Cancelled when the first trial has finished."""
    _wait_for(stage, job_id, ONE_FINISHED)
    assert stage.client.move(job_id, "cancel"), "the job was over before it could be cancelled"


def with_an_extension(stage: Stage, job_id: str) -> None:
    """Extended when it is completed, so that it searches and confirms once more."""
    _wait_for(stage, job_id, DONE)
    stage.client.extend(job_id, EXTENDED_BY)
    _wait_for(stage, job_id, DONE)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is done to a job while it trains, and whose commits' replies are dropped."""

    name: str
    kinds: tuple[str, ...]
    document: Mapping[str, Any]
    live: Callable[[Stage, str], None] = undisturbed


@dataclass(frozen=True, kw_only=True)
class Swept:
    """The result of the sweep of one kind of commit."""

    scenario: str
    kind: str
    kills: bool
    lost: int
    """How many replies were dropped, of the first to the last such commit."""
    runs: int
    seconds: float
    violations: tuple[str, ...]


def scenarios(trials: int, steps: int) -> list[Scenario]:
    """The scenarios of the whole sweep."""
    document = training(trials, steps)
    return [
        Scenario(name="training", kinds=("submit", "claim", "report", "checkpoint", "finish"), document=document),
        # The job must still be running when the user acts, however fast the machine is.
        Scenario(
            name="pause",
            kinds=("pause", "release", "resume", "takeover", "going on"),
            document=training(1, 15, epoch_s=0.1),
            live=with_a_pause,
        ),
        Scenario(name="cancel", kinds=("cancel",), document=training(20, 2), live=with_a_cancel),
        Scenario(
            name="confirmation",
            kinds=("next phase", "extend"),
            document=document | {"budget": {"trials": trials + 2, "confirm": 2}},
            live=with_an_extension,
        ),
        Scenario(name="dying trainer", kinds=("trainer death",), document=training(1, steps, exit_at=steps)),
    ]


def sweep(stage: Stage, scenario: Scenario, kinds: Sequence[str]) -> Iterator[Swept]:
    """Drop the reply to each commit of these kinds once, each in its own run."""
    calm = _run(stage, scenario, "none", 1)
    for kind in kinds:
        began, violations, lost = time.monotonic(), list(_broken(stage, scenario, calm, calm)), 0
        for k in count(1):
            found = _run(stage, scenario, kind, k)
            violations += [f"{found.job.name}: {what}" for what in _broken(stage, scenario, calm, found)]
            if not stage.proxy.has_lost:
                break
            lost = k
        yield Swept(
            scenario=scenario.name,
            kind=kind,
            kills=stage.kills,
            lost=lost,
            runs=lost + 1,
            seconds=time.monotonic() - began,
            violations=tuple(violations),
        )


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What a run left."""

    job: JobHistory
    shown: Mapping[str, Any]
    """The progress that the API shows."""
    unknown: int
    """Commits that write and whose replies no sweep drops."""
    mistakes: tuple[str, ...] = field(default=())


def _run(stage: Stage, scenario: Scenario, kind: str, k: int) -> _Run:
    stage.client.mistakes.clear()
    stage.lose(kind, k)
    name = f"{scenario.name}, {'killed after' if stage.kills else 'lost the reply to'} {kind} {k}"
    job_id = stage.client.submit({"name": name, **scenario.document})
    scenario.live(stage, job_id)
    shown = stage.client.job(job_id)["progress"]["trials"]
    return _Run(
        job=stage.history(job_id),
        shown=shown,
        unknown=stage.proxy.commits["unknown"],
        mistakes=tuple(stage.client.mistakes),
    )


def _broken(stage: Stage, scenario: Scenario, calm: _Run, found: _Run) -> Iterator[str]:
    """The violations found after a run."""
    job = found.job
    if not stage.kills:
        yield from _attempted_again(scenario, calm.job, job)
    yield from chain(
        found.mistakes,
        verify.open_leases(job),
        verify.lost_events(job),
        verify.broken_curves(job),
        verify.wrong_progress(job, found.shown),
        verify.wrongly_confirmed(job),
        _went_back(job),
    )
    if found.unknown:
        yield f"{found.unknown} commits wrote something that is no transaction of its own"
    told = Counter(event.type for event in job.events)
    for event, times in _EXPECTED[scenario.name].items():
        if told[event] != times:
            yield f"{told[event]} events {event}, expected {times}"
    if scenario.name == "cancel":
        yield from _cancelled(calm.job, job)
        return
    if scenario.name == "dying trainer":
        yield from _not_failed(job)
    else:
        yield from chain(verify.unfinished([job], [job.name]), verify.wrong_numbers(job), verify.double_results(job))
    expected = replace(calm.job, name=job.name, spec=job.spec)
    if stage.kills and scenario.name == "dying trainer":
        # A killed worker ends an attempt, which may be the last one.
        expected, job = _without_errors(expected), _without_errors(job)
    yield from differences(expected, job)


def _without_errors(job: JobHistory) -> JobHistory:
    return replace(job, trials=tuple(replace(trial, user_attrs={}) for trial in job.trials))


_ONCE = {"job.submitted": 1, "job.started": 1}
_EXPECTED: Mapping[str, Mapping[str, int]] = {
    "training": _ONCE | {"job.completed": 1, "job.paused": 0, "job.resumed": 0, "job.cancelled": 0},
    "confirmation": _ONCE | {"job.completed": 2, "job.extended": 1, "phase.started": 3},
    "pause": _ONCE | {"job.completed": 1, "job.paused": 1, "job.resumed": 1, "job.cancelled": 0},
    "cancel": _ONCE | {"job.completed": 0, "job.paused": 0, "job.resumed": 0, "job.cancelled": 1},
    "dying trainer": _ONCE | {"job.completed": 0, "job.failed": 1, "job.paused": 0, "job.resumed": 0, "job.cancelled": 0},
}


def _not_failed(job: JobHistory) -> Iterator[str]:
    """A job whose only trial used up its attempts has failed (docs/decisions/0011)."""
    if job.state != "failed" or not (job.reason or "").startswith("its only trial failed: AttemptsExhausted: "):
        yield f"the job is {job.state} ({job.reason}), expected failed with its only trial's reason"


def _attempted_again(scenario: Scenario, calm: JobHistory, job: JobHistory) -> Iterator[str]:
    """Trials with a second attempt although their worker was alive all the time."""
    usual = {trial.number: [lease.outcome for lease in trial.leases] for trial in calm.trials}
    for trial in job.trials:
        outcomes = [lease.outcome for lease in trial.leases]
        # What a cancel hits depends on timing.
        if len(outcomes) != 1 if scenario.name == "cancel" else outcomes != usual.get(trial.number):
            yield f"trial {trial.number} has the attempts {outcomes}, without faults {usual.get(trial.number)}"


def _went_back(job: JobHistory) -> Iterator[str]:
    """Attempts that began more than one step before the last stored step, although each step is followed by a checkpoint."""
    for trial in job.trials:
        stored = 0
        for lease in trial.leases:
            began_after = lease.from_step or 0
            if lease.last_step is not None and began_after < stored - 1:
                yield f"trial {trial.number}, attempt {lease.attempt} began after step {began_after}, stored were {stored}"
            stored = max(stored, lease.last_step or 0)


def _cancelled(calm: JobHistory, job: JobHistory) -> Iterator[str]:
    if (job.state, job.events[-1].type) != ("cancelled", "job.cancelled"):
        yield f"the job is {job.state}, and its last event {job.events[-1].type}"
    if [trial.number for trial in job.trials] != list(range(len(job.trials))):
        yield f"trials {[trial.number for trial in job.trials]}"
    same = {trial.number: trial for trial in calm.trials}
    for trial in job.trials:
        ends = [event.type for event in job.events_of(trial) if event.type in END_EVENTS]
        outcomes = [lease.outcome for lease in trial.leases]
        if trial.user_attrs.get("stopped_by") == "cancelled":
            expected = "PRUNED" if trial.steps else "FAIL"
            if (trial.state, ends, outcomes[-1]) != (expected, [], "stopped"):
                yield f"stopped trial {trial.number} is {trial.state}, events {ends}, leases {outcomes}"
        elif (len(ends), outcomes[-1]) != (1, "finished"):
            yield f"trial {trial.number} is {trial.state}, events {ends}, leases {outcomes}"
        elif trial.state == "COMPLETE" and trial.number in same and trial.value != same[trial.number].value:
            yield f"trial {trial.number} has the value {trial.value}, calm {same[trial.number].value}"


DONE = "SELECT FROM stride.jobs WHERE id = %(job_id)s AND finished_at IS NOT NULL"
MEASURED = "SELECT FROM stride.leases WHERE job_id = %(job_id)s AND last_step >= 1"
ONE_FINISHED = "SELECT FROM stride.leases WHERE job_id = %(job_id)s AND outcome = 'finished'"
GIVEN_BACK = """
SELECT FROM stride.jobs WHERE id = %(job_id)s AND NOT EXISTS (
    SELECT FROM stride.leases
    WHERE job_id = jobs.id AND ended_at IS NULL AND released_at IS NULL AND NOT stride.is_expired(leases)
)
"""


def _wait_for(stage: Stage, job_id: str, question: str) -> None:
    """Wait until the query returns rows; meanwhile killed workers are replaced."""
    deadline = time.monotonic() + RUN_S
    while not stage.query(question, job_id):
        stage.tend()
        assert time.monotonic() < deadline, f"no answer within {RUN_S:g} s: {question}"
        time.sleep(LOOK_S)

"""The checks of the promises on what is stored at the end. A violation names the trial, what was expected and what was found."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.compare import differences, same
from tests.chaos.history import END_EVENTS, History, JobHistory, Trial
from tests.chaos.retrained import set_backs

ALL_DONE = "all trials of the budget have finished"


@dataclass(frozen=True, kw_only=True)
class Check:
    """A promise, and how it was broken."""

    promise: str
    violations: tuple[str, ...]


def check(promise: str, violations: Iterable[str]) -> Check:
    """A check with the violations that a check function found."""
    return Check(promise=promise, violations=tuple(violations))


def unfinished(jobs: Iterable[JobHistory], submitted: Iterable[str]) -> Iterator[str]:
    """Jobs that are missing, duplicated, or did not reach their budget. submitted: the names of all jobs."""
    jobs = list(jobs)
    names = Counter(job.name for job in jobs)
    for name in submitted:
        if names[name] != 1:
            yield f"job {name} was submitted once and exists {names[name]} times"
    for job in jobs:
        if (job.state, job.reason) != ("completed", ALL_DONE):
            yield f"job {job.name} is {job.state} ({job.reason}), expected completed ({ALL_DONE})"


def wrong_numbers(job: JobHistory) -> Iterator[str]:
    """Trial numbers other than 0..n-1, and trials that did not end with a result."""
    numbers = [trial.number for trial in job.trials]
    if numbers != list(range(job.budget)):
        yield f"job {job.name} has trials {numbers}, expected 0 to {job.budget - 1}"
    for trial in job.trials:
        if trial.state not in ("COMPLETE", "PRUNED"):
            yield f"{_called(job, trial)} is {trial.state}: {trial.user_attrs.get('error')}"


def double_results(job: JobHistory) -> Iterator[str]:
    """Trials whose history does not have exactly one result."""
    for trial in job.trials:
        ends = [event.type for event in job.events_of(trial) if event.type in END_EVENTS]
        if len(ends) != 1:
            yield f"{_called(job, trial)} has the end events {ends}, expected one"
        starts = [event for event in job.events_of(trial) if event.type == "trial.started"]
        if len(starts) != 1:
            yield f"{_called(job, trial)} was started {len(starts)} times, expected once"
        finishing = [lease.attempt for lease in trial.leases if lease.outcome == "finished"]
        if finishing != [len(trial.leases)]:
            yield f"{_called(job, trial)} was finished by attempts {finishing}, expected by the last, {len(trial.leases)}"


def wrongly_confirmed(job: JobHistory) -> Iterator[str]:
    """Trials that confirm other points than the candidates of their phase, one of them more often than another by more than one,
    or with a seed that another trial had; and phases that began twice."""
    begun = {event.payload["position"]: event.payload for event in job.events if event.type == "phase.started"}
    if len(begun) != sum(event.type == "phase.started" for event in job.events):
        yield f"job {job.name}: a phase began twice"
    for position, payload in begun.items():
        confirming = [
            trial
            for trial in job.trials
            if trial.system_attrs.get("stride:phase") == position and "stride:candidate" in trial.system_attrs
        ]
        if payload["phase"] != "confirm":
            continue
        times = Counter({index: 0 for index in range(len(payload["candidates"]))})
        for trial in confirming:
            index = trial.system_attrs["stride:candidate"]
            times[index] += 1
            point, expected = {name: value for name, (value, _) in trial.params.items()}, payload["candidates"][index]
            if not same(point, expected):
                yield f"{_called(job, trial)} trains {point}, but its candidate is {expected}"
        if not confirming or max(times.values()) - min(times.values()) > 1:
            yield f"job {job.name}: the candidates were begun {sorted(times.values())} times"
    seeds = Counter(trial.user_attrs["training_seed"] for trial in job.trials)
    if len(seeds) != len(job.trials):
        yield f"job {job.name}: {len(job.trials)} trials have {len(seeds)} training seeds"


def open_leases(job: JobHistory) -> Iterator[str]:
    """Leases that have not ended, and attempts that are not 1..n."""
    for trial in job.trials:
        for lease in trial.leases:
            if lease.ended_at is None:
                yield f"{_called(job, trial)}: attempt {lease.attempt} has an open lease"
        attempts = [lease.attempt for lease in trial.leases]
        if attempts != list(range(1, len(attempts) + 1)):
            yield f"{_called(job, trial)} has the attempts {attempts}"


def lost_events(job: JobHistory) -> Iterator[str]:
    """Events whose numbers are not 1..n."""
    numbers = [event.seq for event in job.events]
    if numbers != list(range(1, job.event_seq + 1)):
        yield f"job {job.name} has events {numbers}, expected 1 to {job.event_seq}"


def wrong_progress(job: JobHistory, shown: Mapping[str, Any]) -> Iterator[str]:
    """Counts in the API that differ from the rows. shown: `progress.trials` of the job."""
    counted = Counter(_state(trial) for trial in job.trials)
    expected = {"planned": job.budget, "total": len(job.trials)} | {
        state: counted[state] for state in ("waiting", "running", "complete", "infeasible", "pruned", "failed")
    }
    if dict(shown) != expected:
        yield f"job {job.name}: the API shows {dict(shown)}, the rows say {expected}"


def broken_curves(job: JobHistory) -> Iterator[str]:
    """Steps that are not 1..n, whose copy for Optuna differs, that were measured differently when trained again, or written after
    the trial's end."""
    metric = job.spec["metric"]
    for trial in job.trials:
        called = _called(job, trial)
        steps = [step.step for step in trial.steps]
        if steps != list(range(1, len(steps) + 1)):
            yield f"{called} has the steps {steps}"
        for step in trial.steps:
            if step.metrics is None or not same(_as_optuna_has_it(step.metrics[metric]), step.intermediate_value):
                yield f"{called}, step {step.step}: Optuna has {step.intermediate_value}, measured was {step.metrics}"
        first = {written.step: written for written in reversed(trial.written)}
        for written in trial.written:
            before = first[written.step]
            if not same([dict(before.metrics), before.learning_rate], [dict(written.metrics), written.learning_rate]):
                yield f"{called}, step {written.step}: first measured {before.metrics}, later {written.metrics}"
        ended_at = max((event.at for event in job.events_of(trial) if event.type in END_EVENTS), default=None)
        if ended_at is not None and any(written.at > ended_at for written in trial.written):
            yield f"{called}: a measurement was written after its end"


def too_far_back(job: JobHistory, interval_s: float) -> Iterator[str]:
    """Attempts that lost more training than allowed. interval_s: between checkpoints."""
    for trial in job.trials:
        for item in set_backs(job, trial):
            if item.excess_s(interval_s) > 0:
                yield (
                    f"{_called(job, trial)}: attempt {item.attempt} went on from step {item.from_step} though {item.highest_step}"
                    f" steps were stored: {sum(item.seconds):.2f} s of training again, expected at most {item.intervals} x"
                    f" {interval_s:g} s and the step under way"
                )


def undamaged_discards(history: History, damaged: Iterable[int]) -> Iterator[str]:
    """Checkpoints reported as damaged that no fault had damaged. damaged: ids of trials."""
    damaged = set(damaged)
    for job in history.jobs:
        for trial in job.trials:
            for event in job.events_of(trial):
                if event.type == "checkpoint.damaged" and trial.trial_id not in damaged:
                    yield f"{_called(job, trial)}: {json.dumps(dict(event.payload))}, though nobody damaged it"


def changed_results(calm: Iterable[JobHistory], faulty: Mapping[str, JobHistory]) -> Iterator[str]:
    """Differences between a calm run and what is stored of the same jobs, by name."""
    for job in calm:
        found = faulty.get(job.name)
        if found is not None:  # another check reports a missing one
            yield from differences(job, found)


def _called(job: JobHistory, trial: Trial) -> str:
    return f"job {job.name}, trial {trial.number}"


def _state(trial: Trial) -> str:
    if trial.state == "COMPLETE":
        return "infeasible" if any(number > 0 for number in trial.system_attrs.get("constraints", ())) else "complete"
    return {"FAIL": "failed"}.get(trial.state, trial.state.lower())


def _as_optuna_has_it(value: float | str) -> tuple[float | None, str]:
    if isinstance(value, str):
        return None, {"nan": "NAN", "inf": "INF_POS", "-inf": "INF_NEG"}[value]
    return float(value), "FINITE"  # a large number without a fraction comes out of JSON as an int

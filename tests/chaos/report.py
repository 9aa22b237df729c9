"""The report of a run as Markdown: its settings, its faults, its figures, and whether every promise held."""

import os
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.tables import Table
from tests.chaos.history import History, JobHistory
from tests.chaos.record import Record
from tests.chaos.retrained import set_backs
from tests.chaos.verify import Check
from tests.chaos.waits import Wait

SHOWN = 10
"""The most violations of one promise that are listed."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A run and its checks."""

    seed: int
    minutes: float
    settings: str
    not_possible: Sequence[str]
    """Faults that this machine does not support."""
    record: Record
    history: History
    calm: Sequence[JobHistory]
    waits: Sequence[tuple[JobHistory, Wait]]
    checks: Sequence[Check]

    @property
    def kept(self) -> bool:
        """Whether every promise held."""
        return not any(check.violations for check in self.checks)


def markdown(outcome: Outcome) -> str:
    """The report."""
    verdict = "every promise held" if outcome.kept else "PROMISES WERE BROKEN"
    parts = [
        f"# Chaos: {outcome.minutes:g} minutes, seed {outcome.seed}: {verdict}",
        f"Commit {_commit()}, {datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, {platform.machine()},"
        f" Python {platform.python_version()}. {outcome.settings}",
        *(f"Not tried: {what}." for what in outcome.not_possible),
        _faults(outcome.record).markdown(),
        _figures(outcome).markdown(),
        _waits(outcome.waits).markdown(),
        _checks(outcome.checks).markdown(),
        *_violations(outcome.checks),
    ]
    return "\n\n".join(parts) + "\n"


def _faults(record: Record) -> Table:
    done = Counter(fault for _, fault, _ in record.done)
    missed = Counter(fault for _, fault, _ in record.missed)
    table = Table(f"{done.total()} faults", ["fault", "done", "found no target"])
    for fault in sorted(done | missed):
        table.add(fault, str(done[fault]), str(missed[fault]))
    return table


def _figures(outcome: Outcome) -> Table:
    jobs = outcome.history.jobs
    trials = [trial for job in jobs for trial in job.trials]
    leases = [lease for trial in trials for lease in trial.leases]
    events = Counter(event.type for job in jobs for event in job.events)
    again = [item for job in jobs for trial in job.trials for item in set_backs(job, trial)]
    outcomes = Counter(lease.outcome for lease in leases)
    steps = sum(len(trial.steps) for trial in trials)
    table = Table("Figures", ["what", "number"])
    for what, number in {
        "jobs": len(jobs),
        "trials": len(trials),
        "trials compared with those of a calm run": sum(len(job.trials) for job in outcome.calm),
        "steps stored": steps,
        "attempts": len(leases),
        "takeovers": events["lease.taken_over"],
        "leases lost (vanished)": outcomes["vanished"],
        "leases released": outcomes["released"],
        "trainers that died": events["trainer.died"],
        "attempts resumed from a checkpoint": events["trial.resumed"],
        "of them of real training": sum(
            job.spec["objective"]["name"] != "quadratic" and event.type == "trial.resumed" for job in jobs for event in job.events
        ),
        "checkpoints found damaged": events["checkpoint.damaged"],
        "checkpoints that could not be taken": events["checkpoint.failed"],
        "steps trained again": sum(item.trained_again for item in again),
        "most steps trained again by one attempt": max((item.trained_again for item in again), default=0),
    }.items():
        table.add(what, f"{number:,}")
    return table


def _waits(waits: Sequence[tuple[JobHistory, Wait]]) -> Table:
    table = Table("Longest wait of each job for progress", ["job", "seconds in which a worker could have continued it", "of"])
    for job, wait in waits:
        table.add(job.name, f"{wait.counted_s:.1f}", f"{wait.during.end - wait.during.begin:.1f}")
    return table


def _checks(checks: Sequence[Check]) -> Table:
    table = Table("Promises", ["promise", "held"])
    for check in checks:
        table.add(check.promise, f"NO, broken {len(check.violations)} times" if check.violations else "yes")
    return table


def _violations(checks: Sequence[Check]) -> list[str]:
    parts = []
    for check in checks:
        if check.violations:
            shown = "\n".join(f"- {violation}" for violation in check.violations[:SHOWN])
            parts.append(f"### Broken: {check.promise}\n\n{shown}")
    return parts


def _commit() -> str:
    found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    return found or "unknown"

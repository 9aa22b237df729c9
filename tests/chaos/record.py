"""Which faults were injected when and into what, and what was unavailable meanwhile: the database, a worker, or only its trainer.
The check of the waits needs those times.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos.schedule import Fault
from tests.chaos.waits import Interval


@dataclass(frozen=True, kw_only=True)
class Down:
    """A worker, by process id, was unavailable; trainer: only its trainer was."""

    pid: int
    during: Interval
    trainer: bool


@dataclass
class Record:
    """Written by all lanes concurrently: items are only appended, and values only replaced as a whole."""

    began_at: float = field(default_factory=time.time)
    done: list[tuple[float, Fault, str]] = field(default_factory=list)
    """Time, fault, target."""
    missed: list[tuple[float, Fault, str]] = field(default_factory=list)
    outages: list[Interval] = field(default_factory=list)
    downs: list[Down] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)
    """Ids of trials."""
    killed: list[tuple[int, float]] = field(default_factory=list)
    """Process ids of workers, and when."""
    submitted: list[str] = field(default_factory=list)
    """Ids of jobs, appended by the submitter."""
    open_jobs: list[str] = field(default_factory=list)
    """Those of them that were open when last checked. Replaced, never changed: lanes read it."""

    def text(self) -> str:
        """The faults in order of time, for a post-mortem."""
        lines = [(at, f"{fault}: {whom}") for at, fault, whom in self.done]
        lines += [(at, f"{fault}: missed, {why}") for at, fault, why in self.missed]
        return "".join(f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f} {text}\n" for at, text in sorted(lines))

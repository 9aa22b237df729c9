"""What was done when to whom, and what it kept from working: the times at which the database could not be reached, and at which a
worker could not, as a whole or for its trainer's sake. The check of the waits needs them.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.chaos.schedule import Fault
from tests.chaos.waits import Interval


@dataclass(frozen=True, kw_only=True)
class Down:
    """A worker could not be reached, by process id; trainer: only its trainer could not."""

    pid: int
    during: Interval
    trainer: bool


@dataclass
class Record:
    """Written by all lanes at once: nothing in it is changed but by adding to it, or by putting another in its place."""

    began_at: float = field(default_factory=time.time)
    done: list[tuple[float, Fault, str]] = field(default_factory=list)
    """When, what, to whom."""
    missed: list[tuple[float, Fault, str]] = field(default_factory=list)
    outages: list[Interval] = field(default_factory=list)
    downs: list[Down] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)
    """Ids of trials."""
    killed: list[tuple[int, float]] = field(default_factory=list)
    """Workers, by process id, and when."""
    submitted: list[str] = field(default_factory=list)
    """Ids of jobs, kept by whoever submits them."""
    open_jobs: list[str] = field(default_factory=list)
    """Those of them that were open at the last look. Replaced, never changed: lanes read it."""

    def text(self) -> str:
        """The faults in the order of their beginnings, for a post-mortem."""
        lines = [(at, f"{fault}: {whom}") for at, fault, whom in self.done]
        lines += [(at, f"{fault}: missed, {why}") for at, fault, why in self.missed]
        return "".join(f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f} {text}\n" for at, text in sorted(lines))

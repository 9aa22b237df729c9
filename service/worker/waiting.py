"""How work on a trial waits: it never sleeps, but yields a `Wait`, and its worker waits in one place.

So a worker could hold several trials and wait for whichever is first; today it holds one.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause until `until`, by the monotonic clock, or until the trainer has sent something."""

    until: float
    listening: bool = True
    """Whether a message of the trainer ends the wait. While the database is asked again, no message is handled."""


Waits = Generator[Wait, None, T]
"""Work that yields its waits and returns a result."""

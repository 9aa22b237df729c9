"""What a trial waits for. Nothing that is done for one sleeps: it yields a `Wait`, and the one loop of its worker waits.

So a worker may hold several trials and wait for the first of them; today it holds one.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done before `until`, by the monotonic clock; or sooner, when the trainer has said something."""

    until: float
    listening: bool = True
    """Whether what the trainer says ends the wait. While the database is asked again nothing else is taken in."""


Waits = Generator[Wait, None, T]
"""Work that waits now and then, and its result."""

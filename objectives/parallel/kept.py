"""The group of ranks that is kept from one run to the next: to launch one takes seconds. No torch here."""

import atexit
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from objectives.parallel.group import Group

groups: list["Group"] = []
"""That of the last run over several processes, or none."""


def end_ranks() -> None:
    """End the ranks that are kept."""
    while groups:
        groups.pop().end()


atexit.register(end_ranks)

"""What a loader has read, and what it has left out, as sentences for a trial's log."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectives.data.examples import Sets

MOST_CLASSES = 20
"""Of more classes the sizes are not listed."""


def logged(sets: Sets) -> Sets:
    """Log the notes of the sets."""
    log(*sets.notes)
    return sets


def log(*notes: str) -> None:
    """Print sentences: what a run prints becomes the log of its trial."""
    for note in notes:
        print(note, flush=True)


def contents(source: object, what: str, labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """How many examples of each class were read."""
    sizes = np.bincount(labels, minlength=len(classes))
    of_each = f": {', '.join(f'{name} {size}' for name, size in zip(classes, sizes, strict=True))}"
    return f"Read {len(labels)} {what} of {len(classes)} classes from {source}{of_each if len(classes) <= MOST_CLASSES else ''}."


def counted(path: Path) -> str:
    """How a file that is left out is counted: by its ending, a hidden one by its name."""
    return path.name if path.name.startswith(".") or not path.suffix else f"*{path.suffix.lower()}"


def of_images(remarks: Mapping[str, int]) -> tuple[str, ...]:
    """What of image files was not used: the remarks of `read_picture` and how many images each is about."""
    return tuple(f"{n} of the images: {what}." for what, n in remarks.items())


def columns_left_out(names: Iterable[str], used: Collection[str]) -> tuple[str, ...]:
    """The sentence about the columns that are not used; empty where all are."""
    others = [name for name in names if name not in used]
    return (f"Columns that are not used: {', '.join(others)}.",) if others else ()


def left_out(source: Path, skipped: Mapping[str, int]) -> tuple[str, ...]:
    """The sentence about the files that are left out; empty where there are none."""
    if not skipped:
        return ()
    listed = ", ".join(f"{n} {what}" for what, n in Counter(skipped).most_common())
    return (f"Left out of {source}: {listed}.",)

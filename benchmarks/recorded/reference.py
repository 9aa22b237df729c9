"""Where the reference files are that the repository does not hold."""

import os
from pathlib import Path

VARIABLE = "STRIDE_REFERENCE"
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "reference"
"""Beside the repository."""


class Missing(Exception):
    """A set that is not here; the message says what would bring it."""


def folder(given: str | None = None) -> Path:
    """The folder of reference files: the one given, or that of the environment, or the one beside the repository."""
    return Path(given or os.environ.get(VARIABLE) or BESIDE)


def file(name: str, given: str | None = None) -> Path:
    """A reference file. Raises Missing."""
    path = folder(given) / name
    if not path.is_file():
        raise Missing(f"{name} is not in {folder(given)}: name its folder with --reference or {VARIABLE}")
    return path

"""The data files bundled with scikit-learn, read without importing it: that would take as long as importing torch."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def _find_folder() -> Path:
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")
    folder = Path(package.submodule_search_locations[0]) / "datasets" / "data"
    if not folder.is_dir():
        raise ImportError(f"scikit-learn has no folder {folder}: this version keeps its data elsewhere.")
    return folder


_FOLDER = _find_folder()


def rows(name: str, *, delimiter: str | None = ",", skipped: int = 0) -> NDArray[np.float64]:
    """The numbers in one of the files, (rows, columns), without its first `skipped` lines."""
    return np.loadtxt(_FOLDER / name, delimiter=delimiter, skiprows=skipped, ndmin=2)


def labelled(name: str, *, skipped: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Inputs (n, columns) and labels (n,) of a file whose last column holds the labels."""
    table = rows(name, skipped=skipped)
    return table[:, :-1], table[:, -1].astype(np.int64)

"""CIFAR-10 and CIFAR-100 in their binary versions: images of 32x32 pixels with three colour channels.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009),
https://www.cs.toronto.edu/~kriz/cifar.html, which also specifies a record: the label (in CIFAR-100 the coarse one, then the fine
one), and 1,024 bytes each of red, green and blue. The Python versions are refused: they are pickles, which can run any code when
they are loaded.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file, entries, hidden, unreadable
from objectives.data.notes import contents, counted, left_out
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

SHAPE = (3, 32, 32)
N_PIXELS = 3 * 32 * 32


@dataclass(frozen=True, kw_only=True)
class Version:
    name: str
    files: Sequence[str]
    """The last file is the test set."""
    pickles: Sequence[str]
    """The file names of the Python version."""
    n_labels: int
    """Label bytes before the pixels of a record; the last one is used."""
    n_classes: int


CIFAR10 = Version(
    name="CIFAR-10",
    files=(*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
    pickles=(*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"),
    n_labels=1,
    n_classes=10,
)
CIFAR100 = Version(name="CIFAR-100", files=("train.bin", "test.bin"), pickles=("train", "test"), n_labels=2, n_classes=100)


def cifar10(folder: Path, fold: int = 0) -> Sets:
    """The images in a folder as sets: the test batch is the test set, and fold k of the training batches is validation.

    The files may lie in a folder inside of it, as archives unpack them. Raises DataProblem when a file is missing or invalid.
    The last KEPT results are cached until a file changes.
    """
    return _sets(folder, CIFAR10, fold)


def cifar100(folder: Path, fold: int = 0) -> Sets:
    """The same for CIFAR-100, with its 100 fine labels."""
    return _sets(folder, CIFAR100, fold)


def _sets(folder: Path, version: Version, fold: int) -> Sets:
    place = _place(folder, version)
    inside = entries(place)
    names = {entry.name for entry in inside if not entry.is_dir()}
    missing = [name for name in version.files if name not in names]
    if missing and not names.isdisjoint(version.pickles):
        raise DataProblem(
            f"{place} holds {version.name}'s Python version, whose pickles are not opened: its binary version is needed."
        )
    if missing:
        raise DataProblem(f"{place} lacks {', '.join(missing)} of {version.name}'s binary version.")
    others = [entry for entry in inside if entry.name not in version.files]
    notes = left_out(place, Counter(map(counted, [*hidden(place), *others])))
    return _load(tuple(data_file(place / name) for name in version.files), version, fold, notes)


def _place(folder: Path, version: Version) -> Path:
    """The folder itself, or the one in it that has files of the data set while it has none."""
    if _has_files(folder, version):
        return folder
    inside = [entry for entry in entries(folder) if entry.is_dir() and _has_files(entry, version)]
    if len(inside) > 1:
        raise DataProblem(f"{folder} holds several folders with files of {version.name}, {' and '.join(map(str, inside))}.")
    return inside[0] if inside else folder


def _has_files(folder: Path, version: Version) -> bool:
    return not {*version.files, *version.pickles}.isdisjoint(entry.name for entry in entries(folder) if not entry.is_dir())


@lru_cache(maxsize=KEPT)
def _load(files: tuple[DataFile, ...], version: Version, fold: int, notes: tuple[str, ...]) -> Sets:
    sizes = list(_sizes(files, version))
    pixels = np.empty((sum(sizes), *SHAPE), dtype=np.uint8)
    labels = np.empty(sum(sizes), dtype=np.int64)
    begin = 0
    for file, size in zip(files, sizes, strict=True):
        part = slice(begin, begin + size)
        labels[part], pixels[part] = _read(file.path, version)
        begin += size
    source = files[0].path.parent
    split = complete_split(labels, fold, n_validation=0, n_test=sizes[-1], source=source)
    sets = image_sets(pixels, labels, split, version.n_classes)
    classes = [str(label) for label in range(version.n_classes)]
    return replace(sets, notes=(contents(source, "images", labels, classes), *notes))


def _sizes(files: Sequence[DataFile], version: Version) -> Iterator[int]:
    """The number of images in each file."""
    n_bytes = version.n_labels + N_PIXELS
    for file in files:
        if file.size == 0:
            raise DataProblem(f"{file.path} holds no images.")
        if file.size % n_bytes:
            raise DataProblem(f"{file.path} is truncated or too long: its {file.size} bytes are not records of {n_bytes} each.")
        yield file.size // n_bytes


def _read(path: Path, version: Version) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels (n,) and pixels (n, 3, 32, 32)."""
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise unreadable(path, "a file", error) from error
    records = content.reshape(-1, version.n_labels + N_PIXELS)
    labels = records[:, version.n_labels - 1]
    if (labels >= version.n_classes).any():
        record = int((labels >= version.n_classes).argmax())
        raise DataProblem(
            f"{path} holds label {labels[record]} in record {record + 1}; {version.name}'s labels are 0 to"
            f" {version.n_classes - 1}."
        )
    return labels, records[:, version.n_labels :].reshape(-1, *SHAPE)

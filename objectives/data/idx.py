"""Images in MNIST's format: four idx files, each plain or gzipped.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits (1998); H. Xiao, K. Rasul and
R. Vollgraf, Fashion-MNIST (2017), https://arxiv.org/abs/1708.07747. Kuzushiji-MNIST has the same format.
"""

import gzip
import zlib
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file, entries, unreadable
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

N_CLASSES = 10


def idx(folder: Path, fold: int = 0) -> Sets:
    """The images in a folder as sets: the test files are the test set, and fold k of the training files is validation.

    Raises DataProblem when a file is missing or invalid. The last KEPT results are cached until a file changes.
    """
    names = {entry.name for entry in entries(folder)}
    stems = ("train-images{}idx3-ubyte", "train-labels{}idx1-ubyte", "t10k-images{}idx3-ubyte", "t10k-labels{}idx1-ubyte")
    return _load(tuple(data_file(_find(folder, names, stem)) for stem in stems), fold)


def _find(folder: Path, names: set[str], stem: str) -> Path:
    for name in (stem.format(dot) + ending for ending in ("", ".gz") for dot in "-."):
        if name in names:
            return folder / name
    raise DataProblem(
        f"{folder} lacks {stem.format('-')}, plain or with .gz at the end: one of the four files of MNIST's format."
    )


@lru_cache(maxsize=KEPT)
def _load(files: tuple[DataFile, ...], fold: int) -> Sets:
    training, training_labels, test, test_labels = (file.path for file in files)
    pixels, labels = _labelled_images(training, training_labels)
    test_pixels, labels_of_test = _labelled_images(test, test_labels)
    if pixels.shape[1:] != test_pixels.shape[1:]:
        raise DataProblem(f"{test} holds images of {_size(test_pixels)} pixels, but {training.name} of {_size(pixels)}.")
    every_label = np.concatenate([labels, labels_of_test])
    split = complete_split(every_label, fold, n_validation=0, n_test=len(labels_of_test), source=training_labels)
    return image_sets(np.concatenate([pixels, test_pixels])[:, None], every_label, split, N_CLASSES)


def _labelled_images(images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, height, width) and their labels (n,)."""
    pixels, classes = _read(images, n_dimensions=3, what="images"), _read(labels, n_dimensions=1, what="labels")
    if len(pixels) != len(classes):
        raise DataProblem(f"{images} holds {len(pixels)} images, but {labels.name} {len(classes)} labels.")
    if (classes >= N_CLASSES).any():
        record = int((classes >= N_CLASSES).argmax())
        raise DataProblem(f"{labels} holds label {classes[record]} in record {record + 1}; labels are 0 to {N_CLASSES - 1}.")
    return pixels, classes.astype(np.int64)


def _read(path: Path, n_dimensions: int, what: str) -> NDArray[np.uint8]:
    """Read bytes in the shape that the file's header gives: a magic number, then the sizes, all big-endian int32."""
    content = _content(path)
    head, magic = 4 + 4 * n_dimensions, 0x800 + n_dimensions
    found = int.from_bytes(content[:4], "big")
    if len(content) >= 4 and found != magic:
        raise DataProblem(f"{path} begins with the magic number {found}, but idx files of {what} begin with {magic}.")
    if len(content) < head:
        raise DataProblem(f"{path} is truncated: it has {len(content)} bytes, fewer than the {head} of its header.")
    shape = np.frombuffer(content, ">u4", n_dimensions, offset=4).tolist()
    n_bytes = head + prod(shape)
    if len(content) != n_bytes:
        wrong = "truncated" if len(content) < n_bytes else "too long"
        raise DataProblem(f"{path} is {wrong}: it has {len(content)} bytes, but its header says {n_bytes}.")
    if n_bytes == head:
        raise DataProblem(f"{path} holds no {what}.")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                return file.read()
        return path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataProblem(f"{path} is not a gzip file, or is a damaged or truncated one.") from error
    except OSError as error:
        raise unreadable(path, "a file", error) from error


def _size(images: NDArray[np.uint8]) -> str:
    return "x".join(map(str, images.shape[1:]))

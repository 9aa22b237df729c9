"""Images in MNIST's format: four idx files, each plain or gzipped, in one folder or each in a folder of its own name.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits (1998); H. Xiao, K. Rasul and
R. Vollgraf, Fashion-MNIST (2017), https://arxiv.org/abs/1708.07747. Kuzushiji-MNIST has the same format.
"""

import gzip
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file, files_below, unreadable
from objectives.data.notes import contents, counted, left_out
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

N_CLASSES = 10
STEMS = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
NAME = re.compile(r"(train|t10k)-(images|labels)[-.]idx([13])-ubyte(\.gz)?")
GZIP = b"\x1f\x8b"
"""How gzipped content begins, whatever the file is called: browsers unpack .gz and keep the name, and some archives drop it."""


def idx(folder: Path, fold: int = 0) -> Sets:
    """The images in a folder as sets: the test files are the test set, and fold k of the training files is validation.

    The files may lie in a folder below it, such as MNIST/raw. Raises DataProblem when a file is missing or invalid, or when
    there are files of several data sets. The last KEPT results are cached until a file changes.
    """
    found, unseen = files_below(folder)
    by_place: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in found:
        if name := NAME.fullmatch(path.name):
            place = path.parent.parent if NAME.fullmatch(path.parent.name) and path.parent != folder else path.parent
            by_place[place]["{}-{}-idx{}-ubyte".format(*name.groups())].append(path)
    paths = _four(folder, by_place)
    notes = left_out(folder, Counter(map(counted, [*unseen, *(path for path in found if path not in paths)])))
    return _load(folder, tuple(map(data_file, paths)), fold, notes)


def _four(folder: Path, by_place: Mapping[Path, Mapping[str, Sequence[Path]]]) -> list[Path]:
    """The four files in the order of STEMS: those of the one place that has them all."""
    complete = [place for place, found in by_place.items() if len(found) == len(STEMS)]
    if len(complete) > 1:
        raise DataProblem(f"{folder} holds several data sets, in {' and '.join(map(str, complete))}: name one of them.")
    if not complete:
        place, found = max(by_place.items(), key=lambda item: len(item[1]), default=(folder, {}))
        missing = next(stem for stem in STEMS if stem not in found)
        raise DataProblem(f"{place} lacks {missing}, plain or with .gz at the end: one of the four files of MNIST's format.")
    return [min(by_place[complete[0]][stem], key=_preference) for stem in STEMS]


def _preference(path: Path) -> tuple[bool, int, bool]:
    """Of several copies of a file: a plain one, then one in no folder of its own, then one with a dash in its name."""
    return path.suffix == ".gz", len(path.parts), ".idx" in path.name


@lru_cache(maxsize=KEPT)
def _load(folder: Path, files: tuple[DataFile, ...], fold: int, notes: tuple[str, ...]) -> Sets:
    training, training_labels, test, test_labels = (file.path for file in files)
    pixels, labels = _labelled_images(training, training_labels)
    test_pixels, labels_of_test = _labelled_images(test, test_labels)
    if pixels.shape[1:] != test_pixels.shape[1:]:
        raise DataProblem(f"{test} holds images of {_size(test_pixels)} pixels, but {training.name} of {_size(pixels)}.")
    every_label = np.concatenate([labels, labels_of_test])
    split = complete_split(every_label, fold, n_validation=0, n_test=len(labels_of_test), source=training_labels)
    sets = image_sets(np.concatenate([pixels, test_pixels])[:, None], every_label, split, N_CLASSES)
    return replace(sets, notes=(contents(folder, "images", every_label, [str(label) for label in range(N_CLASSES)]), *notes))


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
        content = path.read_bytes()
        if content.startswith(GZIP):
            return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataProblem(f"{path} is a gzip file that is damaged or truncated.") from error
    except OSError as error:
        raise unreadable(path, "a file", error) from error
    return content


def _size(images: NDArray[np.uint8]) -> str:
    return "x".join(map(str, images.shape[1:]))

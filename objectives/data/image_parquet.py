"""Labelled images in parquet files, as data sets on the Hugging Face hub have them.

A column of images, struct<bytes, path>, and one of labels, integers from 0; one file that is split here, or a folder (or
its data/) with train-*.parquet, and test-*.parquet or validation-*.parquet or both. See
https://huggingface.co/docs/hub/datasets-image. pyarrow and Pillow, which the extra `data` brings, read them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file, entries
from objectives.data.parquet import open_parquet
from objectives.data.pictures import read_picture, stacked
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")
BATCH = 1000
"""Rows of which the images are in memory as they are stored, before they are resized."""

Files = tuple[DataFile, ...]


def image_parquet(path: Path, fold: int = 0, image_size: int = 32) -> Sets:
    """The images as sets of image_size x image_size pixels, grey if all files are, otherwise in colour.

    Validation and test are cut from the training images where they have no files. Raises DataProblem about files and rows.
    The last KEPT results are kept, until a file changes.
    """
    if not path.is_dir():
        return _load(path, (data_file(path),), (), (), fold, image_size)
    inside = entries(path)
    if not _shards(inside, "train") and path / "data" in inside:
        path = path / "data"
        inside = entries(path)
    training, validation, test = (_shards(inside, part) for part in ("train", "validation", "test"))
    if not training:
        raise DataProblem(f"{path} lacks train-*.parquet: a folder of images in parquet files needs it.")
    return _load(path, training, validation, test, fold, image_size)


def _shards(inside: Sequence[Path], part: str) -> Files:
    """The files of one part. Of names that end in "of" a number, so many are needed."""
    paths = [path for path in inside if fnmatch(path.name, f"{part}-*.parquet")]
    for path in paths:
        promised = re.search(r"-of-(\d+)\.parquet$", path.name)
        if promised and int(promised[1]) != len(paths):
            raise DataProblem(f"{path} promises {int(promised[1])} files {part}-*.parquet, but the folder holds {len(paths)}.")
    return tuple(data_file(path) for path in paths)


@lru_cache(maxsize=KEPT)
def _load(source: Path, training: Files, validation: Files, test: Files, fold: int, image_size: int) -> Sets:
    n_training = sum(len(_labels(file.path)) for file in training)
    labels = _labels_below(n_training, f"a label counts the classes from 0, and there are {n_training} images", training)
    n_classes = int(labels.max(initial=0)) + 1
    legal = f"the labels of the training images are 0 to {n_classes - 1}"
    of_validation, of_test = (_labels_below(n_classes, legal, part) for part in (validation, test))
    every_label = np.concatenate([labels, of_validation, of_test])
    # Before the images are read: what is wrong with the classes should not take minutes to be told.
    split = complete_split(every_label, fold, n_validation=len(of_validation), n_test=len(of_test), source=source)
    files = (*training, *validation, *test)
    pixels = stacked([picture for file in files for picture in _pictures(file.path, image_size)])
    return image_sets(pixels, every_label, split, n_classes)


def _labels_below(limit: int, legal: str, files: Files) -> NDArray[np.int64]:
    """The labels in all files, in order; those that are not from 0 to below `limit` are a problem."""
    found = [np.empty(0, dtype=np.int64)]
    for file in files:
        labels = _labels(file.path)
        wrong = (labels < 0) | (labels >= limit)
        if wrong.any():
            row = int(wrong.argmax())
            raise DataProblem(f"{file.path}, row {row + 1}: label {labels[row]} is out of range; {legal}.")
        found.append(labels)
    return np.concatenate(found)


def _labels(path: Path) -> NDArray[np.int64]:
    with open_parquet(path) as file:
        name = _column(path, file, LABEL_COLUMNS, "an integer", _is_label)
        column = file.read([name], use_threads=False)[name]
        if column.null_count:
            row = column.is_null().to_numpy().argmax() + 1
            raise DataProblem(f"{path}, row {row}: column {name!r} is empty.")
        if not len(column):
            raise DataProblem(f"{path} holds no rows.")
        labels: NDArray[np.int64] = column.to_numpy().astype(np.int64)
        return labels


def _pictures(path: Path, image_size: int) -> Iterator[NDArray[np.uint8]]:
    with open_parquet(path) as file:
        name = _column(path, file, IMAGE_COLUMNS, "a struct with binary bytes", _is_image)
        batches = file.iter_batches(BATCH, columns=[name], use_threads=False)
        images = (image for batch in batches for image in batch[name].to_pylist())
        for row, image in enumerate(images, start=1):
            where = f"{path}, row {row}: column {name!r}"
            if image is None or image["bytes"] is None:
                raise DataProblem(f"{where} holds no bytes of an image.")
            yield read_picture(BytesIO(image["bytes"]), where, image_size)


def _column(path: Path, file: Any, names: Sequence[str], what: str, is_what: Callable[[Any], bool]) -> str:
    """The first of `names` that the file has."""
    schema = file.schema_arrow
    found = next((name for name in names if name in schema.names), None)
    if found is None:
        raise DataProblem(f"{path} lacks a column {' or '.join(names)}; its columns are {', '.join(schema.names)}.")
    kind = schema.field(found).type
    if not is_what(kind):
        raise DataProblem(f"{path}: column {found!r} holds {kind}, where {what} is needed.")
    return found


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    content = kind.field("bytes").type
    return bool(types.is_binary(content) or types.is_large_binary(content))


def _is_label(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind))

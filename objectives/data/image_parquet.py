"""Labelled images in parquet files, in the format of data sets on the Hugging Face Hub.

One column holds images, struct<bytes, path>, and one holds labels, integers from 0. The data are one file, which is split here,
or a folder (or its data/) with train-*.parquet and optional validation-*.parquet and test-*.parquet. See
https://huggingface.co/docs/hub/datasets-image. Reading needs pyarrow and Pillow, which the extra `data` installs.
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
from objectives.data.pictures import Pixels, read_picture, stacked
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label")
BATCH = 1000
"""Rows that are read at once. Their images are in memory in their stored size before they are resized."""

Files = tuple[DataFile, ...]


def image_parquet(path: Path, fold: int = 0, image_size: int = 32) -> Sets:
    """The images as sets of image_size x image_size pixels, in greyscale if all images are, otherwise in colour.

    Validation and test sets without files are split off the training images. Raises DataProblem when a file or row is missing
    or invalid. The last KEPT results are cached until a file changes.
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
    """The files of one part. A name that ends in "-of-N.parquet" requires N files; raises DataProblem otherwise."""
    paths = [path for path in inside if fnmatch(path.name, f"{part}-*.parquet")]
    for path in paths:
        total = re.search(r"-of-(\d+)\.parquet$", path.name)
        if total and int(total[1]) != len(paths):
            raise DataProblem(f"{path} promises {int(total[1])} files {part}-*.parquet, but the folder holds {len(paths)}.")
    return tuple(data_file(path) for path in paths)


@lru_cache(maxsize=KEPT)
def _load(source: Path, training: Files, validation: Files, test: Files, fold: int, image_size: int) -> Sets:
    n_training = sum(len(_labels(file.path)) for file in training)
    labels = _labels_below(n_training, f"a label counts the classes from 0, and there are {n_training} images", training)
    n_classes = int(labels.max(initial=0)) + 1
    legal = f"the labels of the training images are 0 to {n_classes - 1}"
    of_validation, of_test = (_labels_below(n_classes, legal, part) for part in (validation, test))
    every_label = np.concatenate([labels, of_validation, of_test])
    # Split before reading the images: a problem with the classes should be reported at once, not after minutes.
    split = complete_split(every_label, fold, n_validation=len(of_validation), n_test=len(of_test), source=source)
    files = (*training, *validation, *test)
    pixels = stacked([picture for file in files for picture in _pictures(file.path, image_size)], source)
    return image_sets(pixels, every_label, split, n_classes)


def _labels_below(limit: int, legal: str, files: Files) -> NDArray[np.int64]:
    """The labels in all files, in order. Raises DataProblem with the reason `legal` for a label outside of 0 to `limit` - 1."""
    parts = [np.empty(0, dtype=np.int64)]
    for file in files:
        labels = _labels(file.path)
        wrong = (labels < 0) | (labels >= limit)
        if wrong.any():
            row = int(wrong.argmax())
            raise DataProblem(f"{file.path}, row {row + 1}: label {labels[row]} is out of range; {legal}.")
        parts.append(labels)
    return np.concatenate(parts)


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


def _pictures(path: Path, image_size: int) -> Iterator[Pixels]:
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
    """The first of `names` that is a column of the file. Raises DataProblem when there is none, or its type is wrong."""
    schema = file.schema_arrow
    column = next((name for name in names if name in schema.names), None)
    if column is None:
        raise DataProblem(f"{path} lacks a column {' or '.join(names)}; its columns are {', '.join(schema.names)}.")
    kind = schema.field(column).type
    if not is_what(kind):
        raise DataProblem(f"{path}: column {column!r} holds {kind}, where {what} is needed.")
    return column


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    if not types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    content = kind.field("bytes").type
    return bool(types.is_binary(content) or types.is_large_binary(content))


def _is_label(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind))

"""Labelled images in parquet files, in the format of data sets on the Hugging Face Hub.

One column holds images, struct<bytes, path> or binary, and one holds labels, whole numbers from 0. The data are one file, which
is split here, or a folder with files of each part (`objectives/data/hub_files.py`):
https://huggingface.co/docs/hub/datasets-image. Reading needs pyarrow and Pillow, which the extra `data` installs.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile
from objectives.data.hub_files import HubFiles, hub_files
from objectives.data.notes import columns_left_out, contents, of_images
from objectives.data.parquet import open_parquet
from objectives.data.pictures import Pixels, read_picture, stacked
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "labels", "fine_label")
BATCH = 1000
"""Rows that are read at once. Their images are in memory in their stored size before they are resized."""


def image_parquet(path: Path, fold: int = 0, image_size: int = 32) -> Sets:
    """The images as sets of image_size x image_size pixels, in greyscale if all images are, otherwise in colour.

    Validation and test sets without files are split off the training images; files without any part in their names are all
    training images. Each label of a training image is a class. Raises DataProblem when a file or row is missing or invalid.
    The last KEPT results are cached until a file changes.
    """
    return _load(hub_files(path), fold, image_size)


@lru_cache(maxsize=KEPT)
def _load(files: HubFiles, fold: int, image_size: int) -> Sets:
    of_training, of_validation, of_test = (_all_labels(part) for part in files.parts)
    classes = np.unique(of_training)
    for part, labels in ((files.validation, of_validation), (files.test, of_test)):
        _check_known(part, labels, classes)
    every_label = np.searchsorted(classes, np.concatenate([of_training, of_validation, of_test]))
    names = [str(label) for label in classes]
    # Split before reading the images: a problem with the classes should be reported at once, not after minutes.
    split = complete_split(
        every_label, fold, n_validation=len(of_validation), n_test=len(of_test), source=files.source, classes=names
    )
    remarks: Counter[str] = Counter()
    everything = [file for part in files.parts for file in part]
    pixels = stacked([picture for file in everything for picture in _pictures(file.path, image_size, remarks)], files.source)
    sets = image_sets(pixels, every_label, split, len(classes))
    told = contents(files.source, "images", every_label, names)
    return replace(sets, notes=(told, *files.notes, *_columns_left_out(everything), *of_images(remarks)))


def _all_labels(files: Sequence[DataFile]) -> NDArray[np.integer[Any]]:
    """The labels in all files, in order. Raises DataProblem for a negative one."""
    parts: list[NDArray[np.integer[Any]]] = [np.empty(0, dtype=np.uint64)]
    for file in files:
        labels = _labels(file.path)
        if (labels < 0).any():
            row = int((labels < 0).argmax())
            raise DataProblem(
                f"{file.path}, row {row + 1}: label {labels[row]} is negative, which marks an image without a label: take such"
                " rows out."
            )
        parts.append(labels.astype(np.uint64))
    return np.concatenate(parts)


def _check_known(files: Sequence[DataFile], labels: NDArray[np.integer[Any]], classes: NDArray[np.integer[Any]]) -> None:
    unknown = ~np.isin(labels, classes)
    if not unknown.any():
        return
    position = int(unknown.argmax())
    for file in files:
        n_rows = len(_labels(file.path))
        if position < n_rows:
            raise DataProblem(
                f"{file.path}, row {position + 1}: label {labels[unknown][0]} is none of the labels of the training images:"
                f" {', '.join(map(str, classes[:20]))}{', ...' if len(classes) > 20 else ''}."
            )
        position -= n_rows


def _columns_left_out(files: Sequence[DataFile]) -> tuple[str, ...]:
    with open_parquet(files[0].path) as file:
        used = [next(name for name in names if name in file.schema_arrow.names) for names in (IMAGE_COLUMNS, LABEL_COLUMNS)]
        return columns_left_out(file.schema_arrow.names, used)


def _labels(path: Path) -> NDArray[np.integer[Any]]:
    with open_parquet(path) as file:
        name = _column(path, file, LABEL_COLUMNS, "an integer", _is_label)
        column = file.read([name], use_threads=False)[name]
        if column.null_count:
            row = column.is_null().to_numpy().argmax() + 1
            raise DataProblem(f"{path}, row {row}: column {name!r} is empty.")
        if not len(column):
            raise DataProblem(f"{path} holds no rows.")
        labels: NDArray[np.integer[Any]] = column.to_numpy()
        return labels


def _pictures(path: Path, image_size: int, remarks: Counter[str]) -> Iterator[Pixels]:
    with open_parquet(path) as file:
        name = _column(path, file, IMAGE_COLUMNS, "binary, or a struct with binary bytes,", _is_image)
        batches = file.iter_batches(BATCH, columns=[name], use_threads=False)
        images = (image for batch in batches for image in batch[name].to_pylist())
        for row, image in enumerate(images, start=1):
            where = f"{path}, row {row}: column {name!r}"
            content = image["bytes"] if isinstance(image, dict) else image
            if content is None:
                raise DataProblem(f"{where} holds no bytes of an image.")
            yield read_picture(BytesIO(content), where, image_size, remarks)


def _column(path: Path, file: Any, names: Sequence[str], what: str, is_what: Callable[[Any], bool]) -> str:
    """The first of `names` that is a column of the file. Raises DataProblem when there is none, or its type is wrong."""
    schema = file.schema_arrow
    column = next((name for name in names if name in schema.names), None)
    if column is None:
        raise DataProblem(f"{path} lacks a column {' or '.join(names)}; its columns are {', '.join(schema.names)}.")
    if schema.names.count(column) > 1:
        raise DataProblem(f"{path} has two columns {column!r}, but names must be unique.")
    kind = schema.field(column).type
    if not is_what(kind):
        raise DataProblem(f"{path}: column {column!r} holds {kind}, where {what} is needed.")
    return column


def _is_image(kind: Any) -> bool:
    from pyarrow import types

    content = kind
    if types.is_struct(kind):
        if kind.get_field_index("bytes") < 0:
            return False
        content = kind.field("bytes").type
    return bool(types.is_binary(content) or types.is_large_binary(content))


def _is_label(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind))

"""Texts and their classes in parquet files, in the format of data sets on the Hugging Face Hub, such as AG News and IMDB.

One column holds texts, and one holds whole numbers, whose names may stand in the file's metadata, or texts. Reading needs
pyarrow, which the extra `data` installs.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from objectives.contract import DataProblem
from objectives.data.cells import check_header
from objectives.data.characters import TextSets
from objectives.data.columns import Classes
from objectives.data.files import KEPT, DataFile
from objectives.data.hub_files import HubFiles, hub_files
from objectives.data.notes import columns_left_out
from objectives.data.parquet import open_parquet
from objectives.data.text_columns import Wanted, text_and_target, texts_of_table

UNLABELLED = "unsupervised"
"""In the names of IMDB's files without labels, which are left out."""

Label = int | str


class _Rows(NamedTuple):
    """What is read of a file."""

    path: Path
    text: str
    """The column of texts."""
    target: str
    """The column of classes."""
    texts: list[str]
    labels: list[Label]
    names: list[str]
    """What the labels 0, 1, ... are called; empty: it is not told."""
    unused: tuple[str, ...]
    """The sentence about other columns, if there are any."""


def text_parquet(path: Path, fold: int, wanted: Wanted) -> TextSets:
    """The rows of a file, or of a folder with files for each part (`hub_files`), as sets.

    Each label of the training set is a class. Messages count rows from 1. Raises DataProblem. The last KEPT results are cached
    until a file changes.
    """
    return _load(hub_files(path, unlabelled=UNLABELLED), fold, wanted)


@lru_cache(maxsize=KEPT)
def _load(files: HubFiles, fold: int, wanted: Wanted) -> TextSets:
    training, validation, test = ([_rows(file, wanted) for file in part] for part in files.parts)
    everything = [*training, *validation, *test]
    first = everything[0]
    if other := next((each for each in everything if each.names != first.names), None):
        raise DataProblem(f"{other.path} and {first.path} give the labels of column {first.target!r} different names.")
    known = sorted({label for each in training for label in each.labels}, key=lambda label: (isinstance(label, str), label))
    positions = {label: position for position, label in enumerate(known)}
    for each in (*validation, *test):
        if (row := next((row for row, label in enumerate(each.labels, start=1) if label not in positions), 0)) != 0:
            raise DataProblem(
                f"{each.path}, row {row}, column {each.target!r}: {each.labels[row - 1]!r} is no label of the training set."
            )
    labels = np.array([positions[label] for each in everything for label in each.labels], dtype=np.int64)
    names = [first.names[label] if first.names and isinstance(label, int) else str(label) for label in known]
    return texts_of_table(
        files.source,
        list(chain.from_iterable(each.texts for each in everything)),
        Classes(names=names, labels=labels),
        (first.text, first.target),
        fold,
        wanted.max_length,
        n_validation=sum(len(each.texts) for each in validation),
        n_test=sum(len(each.texts) for each in test),
        notes=(*files.notes, *first.unused),
    )


def _rows(file: DataFile, wanted: Wanted) -> _Rows:
    path = file.path
    with open_parquet(path) as opened:
        schema = opened.schema_arrow
        if not schema.names or not opened.metadata.num_rows:
            raise DataProblem(f"{path} holds no data: columns with names and rows in them are needed.")
        check_header(path, schema.names)
        text, target = text_and_target(path, schema.names, wanted)
        names = _names_of_labels(path, schema, target)
        table = opened.read([text, target], use_threads=False)
        texts = _values(path, text, table[text], numbers=False)
        labels = _values(path, target, table[target], numbers=True)
    for row, label in enumerate(labels, start=1):
        if isinstance(label, int) and label < 0:
            raise DataProblem(
                f"{path}, row {row}: label {label} is negative, which marks a text without one: take such rows out."
            )
        if isinstance(label, int) and names and label >= len(names):
            raise DataProblem(f"{path}, row {row}: label {label} is none of the {len(names)} classes that the file names.")
    return _Rows(path, text, target, [str(each) for each in texts], labels, names, columns_left_out(schema.names, (text, target)))


def _values(path: Path, name: str, column: Any, *, numbers: bool) -> list[Label]:
    """Texts without space around them, or if `numbers` whole numbers. Raises DataProblem for other types and empty cells."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not is_text and not (numbers and (pa.types.is_integer(kind) or pa.types.is_boolean(kind))):
        raise DataProblem(
            f"{path}: column {name!r} holds {kind}, where texts {'or whole numbers ' if numbers else ''}are needed."
        )
    values = [each.strip() if isinstance(each, str) else each for each in _read(path, name, column)]
    if (row := next((row for row, each in enumerate(values, start=1) if each is None or each == ""), 0)) != 0:
        raise DataProblem(f"{path}, row {row}, column {name!r} is empty: every cell needs a value.")
    return [int(each) if isinstance(each, bool) else each for each in values]


def _read(path: Path, name: str, column: Any) -> Sequence[Any]:
    """The cells. Raises DataProblem where one is no UTF-8, which parquet does not check."""
    try:
        values: Sequence[Any] = column.to_pylist()
    except UnicodeDecodeError:
        for row, cell in enumerate(column, start=1):
            try:
                cell.as_py()
            except UnicodeDecodeError as error:
                raise DataProblem(
                    f"{path}, row {row}, column {name!r}: byte 0x{error.object[error.start]:02x} is not UTF-8, as text must be."
                ) from error
        raise
    return values


def _names_of_labels(path: Path, schema: Any, target: str) -> list[str]:
    """What the package datasets has called the labels 0, 1, ..., by the file's metadata; empty where it says nothing of it."""
    content = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        feature = json.loads(content).get("info", {}).get("features", {}).get(target, {})
        return [str(name) for name in feature.get("names") or ()]
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise DataProblem(f"{path}: what its metadata say of the columns is damaged, so that the names are unknown.") from error

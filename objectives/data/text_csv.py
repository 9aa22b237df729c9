"""Texts and their classes in two columns of a CSV file."""

from functools import lru_cache
from pathlib import Path

from objectives.data.characters import TextSets
from objectives.data.columns import classes_of_texts
from objectives.data.csv_file import csv_columns
from objectives.data.files import KEPT, DataFile, data_file
from objectives.data.notes import columns_left_out
from objectives.data.text_columns import Wanted, text_and_target, texts_of_table


def text_csv(path: Path, fold: int, wanted: Wanted) -> TextSets:
    """The rows as sets, read as `csv_table` does. Raises DataProblem. The last KEPT results are cached until the file changes."""
    return _load(data_file(path), fold, wanted)


@lru_cache(maxsize=KEPT)
def _load(file: DataFile, fold: int, wanted: Wanted) -> TextSets:
    path = file.path
    columns, rows, notes = csv_columns(path)
    text, target = text_and_target(path, list(columns), wanted)
    classes = classes_of_texts(path, target, columns[target], rows)
    notes = [*notes, *columns_left_out(columns, (text, target))]
    return texts_of_table(path, columns[text], classes, (text, target), fold, wanted.max_length, notes=notes)

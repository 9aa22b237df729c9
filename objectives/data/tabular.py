"""Loads the table that a job's settings name: a bundled one, or a local file."""

from collections.abc import Callable, Mapping
from typing import Any

from objectives.data import files
from objectives.data.columns import Kind
from objectives.data.csv_table import csv_table
from objectives.data.examples import Sets
from objectives.data.parquet_table import parquet_table


def table(settings: Mapping[str, Any], bundled: Mapping[str, Callable[[int], Sets]], kind: Kind) -> Sets:
    """The sets that `dataset`, `path`, `target` and `fold` ask for. Raises DataProblem when the file cannot be used."""
    dataset, fold = settings["dataset"], settings["fold"]
    if dataset in bundled:
        return bundled[dataset](fold)
    read = csv_table if dataset == "csv" else parquet_table
    return read(files.find(settings["path"]), fold, target=settings["target"], kind=kind)

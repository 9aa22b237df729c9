import json
import re
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from objectives.contract import DataProblem
from objectives.data.csv_table import csv_table
from objectives.data.examples import Sets
from objectives.data.parquet_table import parquet_table

ROWS = range(20)
COLUMNS: dict[str, Any] = {
    "a": list(ROWS),
    "b": [row**2 / 2 for row in ROWS],
    "colour": ["red" if row % 3 else "blue" for row in ROWS],
    "bought": ["yes" if row % 2 else "no" for row in ROWS],
}


def write(folder: Path, **columns: Any) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table(COLUMNS | columns), path)
    return path


def same(first: Sets, second: Sets) -> bool:
    return all(
        torch.equal(getattr(mine, name), getattr(other, name))
        for mine, other in zip((first.training, first.test), (second.training, second.test), strict=True)
        for name in ("inputs", "targets")
    )


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("fold", range(5))
def test_the_same_table_gives_the_same_sets_as_in_a_csv_file(tmp_path: Path, fold: int, kind: Any) -> None:
    target = "bought" if kind == "classification" else "b"
    text = "\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in zip(*COLUMNS.values(), strict=True))])
    (tmp_path / "table.csv").write_text(text)
    found = parquet_table(write(tmp_path), fold, target=target, kind=kind)
    expected = csv_table(tmp_path / "table.csv", fold, target=target, kind=kind)
    assert same(found, expected)
    assert found.n_classes == expected.n_classes


@pytest.mark.parametrize(
    "column",
    [
        pa.array(COLUMNS["a"], pa.uint64()),
        pa.array(COLUMNS["a"], pa.float32()),
        pa.array(COLUMNS["a"], pa.float16()),
        pa.array([Decimal(row) for row in ROWS], pa.decimal128(5, 1)),
        pa.array(COLUMNS["a"]).dictionary_encode(),
        pa.chunked_array([COLUMNS["a"][:7], COLUMNS["a"][7:]]),
    ],
    ids=lambda column: str(column.type),
)
def test_numbers_of_any_type_are_numbers(tmp_path: Path, column: Any) -> None:
    (tmp_path / "other").mkdir()
    assert same(parquet_table(write(tmp_path, a=column)), parquet_table(write(tmp_path / "other")))


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_texts_of_any_type_are_texts(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "other").mkdir()
    written = write(tmp_path, colour=pa.array(COLUMNS["colour"]).cast(kind))
    assert same(parquet_table(written), parquet_table(write(tmp_path / "other")))


def test_truth_values_are_0_and_1(tmp_path: Path) -> None:
    data = parquet_table(write(tmp_path, bought=[row % 2 == 1 for row in ROWS]))
    assert same(data, parquet_table(write(tmp_path)))


def test_the_row_labels_that_pandas_adds_are_no_column(tmp_path: Path) -> None:
    assert parquet_table(write(tmp_path, __index_level_0__=list(ROWS))).n_classes == 2


def write_as_pandas(folder: Path, index: object, **columns: Any) -> Path:
    path = folder / "table.parquet"
    metadata = {b"pandas": json.dumps({"index_columns": index, "columns": []}).encode()}
    pq.write_table(pa.table(COLUMNS | columns).replace_schema_metadata(metadata), path)
    return path


DAYS = pa.array([datetime(2024, 1, 1 + row) for row in ROWS])


@pytest.mark.parametrize("index", [list(ROWS), DAYS, [f"row {row}" for row in ROWS]], ids=["numbers", "times", "texts"])
def test_the_index_that_pandas_names_is_no_column(tmp_path: Path, index: Any) -> None:
    (tmp_path / "plain").mkdir()
    path = write_as_pandas(tmp_path, ["group", "missing"], group=index)
    found = parquet_table(path)
    assert same(found, parquet_table(write(tmp_path / "plain")))
    assert found.notes[2] == f"Left out of {path}: the index, group."
    with pytest.raises(
        DataProblem, match=r"table\.parquet: 'group' is the index of the table, and cannot be the target: make it"
    ):
        parquet_table(path, target="group")


def test_an_index_of_several_columns_is_left_out(tmp_path: Path) -> None:
    path = write_as_pandas(tmp_path, ["a", "__index_level_1__"], __index_level_1__=list(ROWS))
    assert parquet_table(path).notes[1:] == (
        "The target is 'bought', the inputs are b, colour (2 texts).",
        f"Left out of {path}: the index, a, __index_level_1__.",
    )


def test_an_index_that_only_counts_is_no_column_of_the_file(tmp_path: Path) -> None:
    path = write_as_pandas(tmp_path, [{"kind": "range", "name": "a", "start": 0, "stop": 20, "step": 1}])
    assert parquet_table(path).input_shape == (4,)


@pytest.mark.parametrize("metadata", [b"\xff", b"{", b"[]", b'{"index_columns": 7}', b'{"index_columns": null}', b"[" * 100_000])
def test_damaged_words_of_pandas_are_refused(tmp_path: Path, metadata: bytes) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table(COLUMNS).replace_schema_metadata({b"pandas": metadata}), path)
    with pytest.raises(DataProblem, match=r"what pandas says about the table is damaged, so that its index is unknown\.$"):
        parquet_table(path)


def test_columns_with_points_in_their_names_are_read_once(tmp_path: Path) -> None:
    table = {"a": list(ROWS), "a.b": [0.5] * 19 + [1.0], "y": COLUMNS["bought"]}
    pq.write_table(pa.table(table), tmp_path / "table.parquet")
    assert parquet_table(tmp_path / "table.parquet").input_shape == (2,)


def test_texts_are_read_as_in_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    found = parquet_table(write(tmp_path, a=[f" {row}.0" for row in ROWS], colour=[f"{text} " for text in COLUMNS["colour"]]))
    assert same(found, parquet_table(write(tmp_path / "plain")))


def test_categories_stay_categories_also_where_they_look_like_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, a=pa.array([f"{row % 3}" for row in ROWS]).dictionary_encode())
    assert parquet_table(path).input_shape == (1 + 3 + 2,)


@pytest.mark.parametrize("cell", ["", " ", "?", "NA", "NaN", "None", "null", "-"])
@pytest.mark.parametrize("column", ["colour", "bought"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_what_marks_a_missing_value_is_neither_class_nor_category(
    tmp_path: Path, column: str, cell: str, dictionary: bool
) -> None:
    cells = pa.array([cell if row % 4 == 2 else text for row, text in enumerate(COLUMNS[column])])
    path = write(tmp_path, **{column: cells.dictionary_encode() if dictionary else cells})
    with pytest.raises(DataProblem, match=rf"table\.parquet, row 3, column '{column}'(: '.+' marks a missing value| is empty)"):
        parquet_table(path)


def test_numbers_as_spreadsheets_show_them_are_no_categories(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"table\.parquet, row 1, column 'a': '\$0,5' is no plain number: write plain"):
        parquet_table(write(tmp_path, a=[f"${row},5" for row in ROWS]))


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**53, 2**53 + 1] * 10),
        pa.array([5, 2**63 + 5] * 10, pa.uint64()),
        pa.array([Decimal("9007199254740992.1"), Decimal("9007199254740992.2")] * 10, pa.decimal128(20, 1)),
        pa.array([0.1, 0.2] * 10, pa.float32()),
        pa.array([0.5, 2.0] * 10, pa.float16()),
        pa.array([2**53, 2**53 + 1] * 10).dictionary_encode(),
    ],
    ids=lambda values: str(values.type),
)
def test_classes_that_are_numbers_are_not_rounded(tmp_path: Path, values: Any) -> None:
    assert parquet_table(write(tmp_path, bought=values)).training.targets.bincount().tolist() == [6, 6]


def test_results_are_kept_until_the_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path)
    first = parquet_table(path)
    assert parquet_table(path) is first
    write(tmp_path, a=COLUMNS["a"][::-1], c=COLUMNS["a"])
    assert parquet_table(path, target="bought").input_shape == (5,)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (pa.table(COLUMNS).slice(0, 0), "{} holds no data: columns with names and rows in them are needed."),
        (pa.table({}), "{} holds no data: columns with names and rows in them are needed."),
        (pa.table({"a": [1, 2]}), "{} has one column only, 'a', where the target and an input are needed."),
        (pa.table([[1], [2]], names=["a", ""]), "{}: column 2 has no name in the header."),
        (pa.table([[1], [2]], names=["a", "a"]), "{}: the header has two columns 'a', but names must be unique."),
        (pa.table({**COLUMNS, "a": [0, 1, None, *ROWS[3:]]}), "{}, row 3, column 'a' is empty: every cell needs a value."),
        (
            pa.table({**COLUMNS, "colour": [None, *COLUMNS["colour"][1:]]}),
            "{}, row 1, column 'colour' is empty: every cell needs a value.",
        ),
        (
            pa.table({**COLUMNS, "b": [0.0, np.nan, *COLUMNS["b"][2:]]}),
            "{}, row 2, column 'b': nan is not a finite 32-bit number.",
        ),
        (
            pa.table({**COLUMNS, "b": [0.0, np.inf, *COLUMNS["b"][2:]]}),
            "{}, row 2, column 'b': inf is not a finite 32-bit number.",
        ),
        (
            pa.table({**COLUMNS, "b": [[row] for row in ROWS]}),
            "{}: column 'b' holds list<element: int64>, where numbers or texts are needed.",
        ),
        (
            pa.table({**COLUMNS, "bought": ["yes"] * 20}),
            "There is one class only in column 'bought' of {}, 'yes': classification needs two or more.",
        ),
        (
            pa.table({**COLUMNS, "bought": [20240101] * 16 + [0] * 4}),
            "Class '0' in column 'bought' of {} has too few examples for five folds: 4, where at least 5 are needed.",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, table: Any, sentence: str) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(table, path)
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(path))}$"):
        parquet_table(path)


def test_an_unknown_target_is_refused(tmp_path: Path) -> None:
    sentence = "has no column 'c' to be the target; its columns are a, b, colour, bought."
    with pytest.raises(DataProblem, match=f"{re.escape(sentence)}$"):
        parquet_table(write(tmp_path), target="c")


def test_regression_on_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"column 'bought' holds texts \('no'\), where regression needs numbers\.$"):
        parquet_table(write(tmp_path), kind="regression")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "Parquet file size is 0 bytes"),
        (b"no parquet", "Parquet magic bytes not found in footer. "),
        (b"PAR1" * 100, "Parquet file size is 400 bytes, smaller than the size reported by footer's "),
    ],
)
def test_a_file_that_is_no_parquet_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "table.parquet").write_bytes(content)
    with pytest.raises(DataProblem, match=rf"table\.parquet cannot be read as a parquet file \({reason}"):
        parquet_table(tmp_path / "table.parquet")


def test_damage_within_a_file_is_found(tmp_path: Path) -> None:
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 200 + content[204:])
    with pytest.raises(DataProblem, match=r"table\.parquet cannot be read as a parquet file \(Couldn't deserialize thrift: "):
        parquet_table(path)


def test_what_to_install_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        DataProblem, match=r"table\.parquet needs pyarrow to be read: install it, or Stride with its extra data\.$"
    ):
        parquet_table(path)

"""Texts in local files: CSV, and parquet as on the Hugging Face Hub."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from objectives.contract import DataProblem
from objectives.data.characters import FIRST, TextSets
from objectives.data.examples import Examples
from objectives.data.text_columns import Wanted
from objectives.data.text_csv import text_csv
from objectives.data.text_parquet import text_parquet

TEXTS = [letter * n for n in range(1, 6) for letter in "abc"]
LABELS = [0, 1, 2] * 5
TRAIN, TEST = "train-00000-of-00001.parquet", "test-00000-of-00001.parquet"


def wanted(text: str | None = None, target: str | None = None, max_length: int = 8) -> Wanted:
    return Wanted(text=text, target=target, max_length=max_length)


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(path: Path, columns: Mapping[str, Any] | None = None, names: Sequence[str] = ()) -> Path:
    table = pa.table(dict(columns or {"text": TEXTS, "label": LABELS}))
    if names:
        features = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)
    return path


def read(part: Examples, sets: TextSets) -> list[tuple[str, int]]:
    rows = [[number for number in row if number] for row in part.inputs.tolist()]
    texts = ["".join("?" if number < FIRST else sets.characters[number - FIRST] for number in row) for row in rows]
    return list(zip(texts, part.targets.tolist(), strict=True))


def everything(sets: TextSets) -> list[tuple[str, int]]:
    return sorted(pair for part in (sets.training, sets.validation, sets.test) for pair in read(part, sets))


def of(header: str) -> str:
    return header + "\n" + "".join(f'"{text}",{"pqr"[label]}\n' for text, label in zip(TEXTS, LABELS, strict=True))


@pytest.mark.parametrize(
    ("header", "asked"),
    [("text,label", wanted()), ("text,mood", wanted()), ("review,label", wanted()), ("a,b", wanted(text="a", target="b"))],
)
def test_a_csv_file_has_a_column_of_texts_and_one_of_classes(tmp_path: Path, header: str, asked: Wanted) -> None:
    sets = text_csv(written(tmp_path / "x.csv", of(header)), 0, asked)
    assert everything(sets) == sorted(zip(TEXTS, LABELS, strict=True))
    assert [part.targets.bincount().tolist() for part in (sets.training, sets.validation, sets.test)] == [
        [3, 3, 3],
        [1, 1, 1],
        [1, 1, 1],
    ]
    text, target = header.split(",")
    assert sets.notes[:2] == (
        f"Read 15 texts of 3 classes from {tmp_path / 'x.csv'}: p 5, q 5, r 5.",
        f"The texts are in column {text!r}, the classes in {target!r}.",
    )


def test_a_text_that_looks_like_a_number_or_like_no_value_is_a_text(tmp_path: Path) -> None:
    rows = "".join(f"{text},{label}\n" for label in "pq" for text in ("NA", "?", "12", "None", "-1.5"))
    sets = text_csv(written(tmp_path / "x.csv", "text,label\n" + rows), 0, wanted())
    assert len(everything(sets)) == 10


def test_the_log_tells_the_columns_that_are_not_used(tmp_path: Path) -> None:
    ten = "".join(f"{text},{label},9\n" for label in "pq" for text in "abcde")
    said = "Columns that are not used: stars."
    assert said in text_csv(written(tmp_path / "x.csv", "text,label,stars\n" + ten), 0, wanted()).notes
    assert said in text_parquet(parquet(tmp_path / "x", {"text": TEXTS, "stars": LABELS, "label": LABELS}), 0, wanted()).notes


@pytest.mark.parametrize(
    ("content", "asked", "said"),
    [
        (b"text,label\na,p\nb\xe9,q\n", wanted(), "{}, line 3: byte 0xe9 is not UTF-8, in which a CSV file must be encoded."),
        ("text,label\na,p\n,q\n", wanted(), "{}, row 3, column 'text' is empty: every cell needs a value."),
        ("text,label\na,p\nb,\n", wanted(), "{}, row 3, column 'label' is empty: every cell needs a value."),
        ("a,b,c\nx,p,1\n", wanted(), "{} has no column 'label': name one as target; its columns are a, b, c."),
        ("a,b,label\nx,y,1\n", wanted(), "{} has no column 'text': name one as text; its columns are a, b, label."),
        ("text,label\na,p\n", wanted(text="x"), "{} has no column 'x', which text names; its columns are text, label."),
        ("text,label\na,p\n", wanted(target="x"), "{} has no column 'x', which target names; its columns are text, label."),
        ("text,label\na,p\n", wanted(text="label", target="label"), "{}: text and target are one column, 'label', where two are"),
        ("text,label\na,p\nb,p\n", wanted(), "There is one class only in {}, 'p': classification needs two or more."),
    ],
)
def test_a_csv_file_that_cannot_be_used_is_refused_with_its_row(
    tmp_path: Path, content: str | bytes, asked: Wanted, said: str
) -> None:
    path = written(tmp_path / "x.csv", content)
    with pytest.raises(DataProblem, match="^" + re.escape(said.format(path))):
        text_csv(path, 0, asked)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([TEXTS, LABELS, LABELS], ["text", "label", "label"]), tmp_path / "x.parquet")
    with pytest.raises(DataProblem, match=r"^.*x\.parquet: the header has two columns 'label', but names must be unique\.$"):
        text_parquet(tmp_path / "x.parquet", 0, wanted())


@pytest.mark.parametrize("names", [(), ("World", "Sports", "Business")])
def test_a_folder_is_read_as_ag_news_and_imdb_are(tmp_path: Path, names: Sequence[str]) -> None:
    parquet(tmp_path / "data" / TRAIN, names=names)
    parquet(tmp_path / "data" / TEST, {"text": ["cab", "b"], "label": [2, 1]}, names)
    parquet(tmp_path / "data" / "unsupervised-00000-of-00001.parquet", {"text": ["what"], "label": [-1]}, names)
    sets = text_parquet(tmp_path, 0, wanted())
    assert read(sets.test, sets) == [("cab", 2), ("b", 1)]
    assert [len(part) for part in (sets.training, sets.validation)] == [12, 3]
    sizes = "World 5, Sports 6, Business 6" if names else "0 5, 1 6, 2 6"
    assert sets.notes[0] == f"Read 17 texts of 3 classes from {tmp_path}: {sizes}."
    assert f"Left out of {tmp_path}: 1 *.parquet." in sets.notes


@pytest.mark.parametrize("labels", [["p", "q", "r"] * 5, pa.array(["p", "q", "r"] * 5).dictionary_encode(), LABELS])
def test_labels_are_texts_or_whole_numbers(tmp_path: Path, labels: Any) -> None:
    sets = text_parquet(parquet(tmp_path / "x.parquet", {"sentence": TEXTS, "mood": labels}), 0, wanted("sentence", "mood"))
    assert everything(sets) == sorted(zip(TEXTS, LABELS, strict=True))


INVALID = pa.Array.from_buffers(pa.string(), 15, [None, pa.array(range(16), pa.int32()).buffers()[1], pa.py_buffer(b"\xff" * 15)])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": ["a", None, "b"], "label": [0, 1, 1]}, "{}, row 2, column 'text' is empty: every cell needs a value."),
        ({"text": ["a", "b", " "], "label": [0, 1, 1]}, "{}, row 3, column 'text' is empty: every cell needs a value."),
        ({"text": ["a", "b"], "label": [0, None]}, "{}, row 2, column 'label' is empty: every cell needs a value."),
        ({"text": ["a", "b"], "label": [0, -1]}, "{}, row 2: label -1 is negative, which marks a text without one: take such"),
        ({"text": ["a", "b"], "label": [0, 3]}, "{}, row 2: label 3 is none of the 3 classes that the file names."),
        ({"text": [1, 2], "label": [0, 1]}, "{}: column 'text' holds int64, where texts are needed."),
        ({"text": ["a", "b"], "label": [0.5, 1]}, "{}: column 'label' holds double, where texts or whole numbers are needed."),
        ({"text": INVALID, "label": LABELS}, "{}, row 1, column 'text': byte 0xff is not UTF-8, as text must be."),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())}, "{} holds no data: columns with names"),
    ],
)
def test_a_parquet_file_that_cannot_be_used_is_refused_with_its_row(tmp_path: Path, columns: Any, said: str) -> None:
    path = parquet(tmp_path / "x.parquet", columns, ("World", "Sports", "Business"))
    with pytest.raises(DataProblem, match="^" + re.escape(said.format(path))):
        text_parquet(path, 0, wanted())


def test_a_text_longer_than_the_limit_of_pythons_reader_is_read(tmp_path: Path) -> None:
    sets = text_csv(written(tmp_path / "x.csv", of("text,label") + f"{'a' * 131_073},p\n"), 0, wanted())
    assert len(everything(sets)) == len(TEXTS) + 1


def test_files_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path / TRAIN)
    test = parquet(tmp_path / TEST, {"text": ["a", "b"], "label": [1, 7]})
    with pytest.raises(DataProblem, match=rf"^{test}, row 2, column 'label': 7 is no label of the training set\.$"):
        text_parquet(tmp_path, 0, wanted())
    parquet(test, {"text": ["a"], "label": [1]}, ["World", "Sports"])
    with pytest.raises(DataProblem, match=rf"^{test} and .* give the labels of column 'label' different names\.$"):
        text_parquet(tmp_path, 0, wanted())


def test_damaged_metadata_are_refused(tmp_path: Path) -> None:
    table = pa.table({"text": TEXTS, "label": LABELS}).replace_schema_metadata({"huggingface": "[1"})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataProblem, match=r"^.*x\.parquet: what its metadata say of the columns is damaged"):
        text_parquet(tmp_path / "x.parquet", 0, wanted())

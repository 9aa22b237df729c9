"""Pairs of texts: dates in words, and parallel files."""

import re
from datetime import date
from pathlib import Path

import pytest
from torch import Tensor

from objectives.contract import DataProblem
from objectives.data.characters import FIRST
from objectives.data.dates import written_dates
from objectives.data.examples import Examples
from objectives.data.parallel_text import parallel_text
from objectives.data.translations import Translations, translations


def texts(tokens: Tensor, characters: str) -> list[str]:
    return [
        "".join(characters[token - FIRST] for token in row if FIRST <= token < FIRST + len(characters)) for row in tokens.tolist()
    ]


def pairs(sets: Translations, part: Examples) -> list[tuple[str, str]]:
    return list(zip(texts(part.inputs[0], sets.sources), texts(part.targets, sets.targets), strict=True))


def years(sets: Translations, part: Examples) -> set[int]:
    return {date.fromisoformat(iso).year for _, iso in pairs(sets, part)}


@pytest.fixture(scope="module")
def dates() -> Translations:
    return written_dates(0)


def test_no_year_is_in_two_sets(dates: Translations) -> None:
    training, validation, test = (years(dates, part) for part in (dates.training, dates.validation, dates.test))
    assert training.isdisjoint(validation | test)
    assert validation.isdisjoint(test)
    assert min(map(len, (training, validation, test))) > 100


def test_every_text_stands_for_one_date_with_its_year_in_it(dates: Translations) -> None:
    known: dict[str, str] = {}
    for part in (dates.training, dates.validation, dates.test):
        for text, iso in pairs(dates, part):
            assert known.setdefault(text, iso) == iso
            assert iso[:4] in text
    assert len(known) == 8_000


def test_another_fold_tests_on_other_years(dates: Translations) -> None:
    other = written_dates(1)
    assert years(dates, dates.test).isdisjoint(years(other, other.test))


def test_a_translation_stands_behind_a_beginning_and_before_an_end() -> None:
    sets = translations([("ab", "x"), ("ba", "xyx"), ("b", "y")], [("ac", "x")], [("a", "z")])
    assert (sets.sources, sets.targets, sets.begin, sets.end) == ("ab", "xy", 4, 5)
    source, begun = sets.training.inputs
    assert source.tolist() == [[2, 3], [3, 2], [3, 0]]
    assert begun.tolist() == [[4, 2, 0, 0], [4, 2, 3, 2], [4, 3, 0, 0]]
    assert sets.training.targets.tolist() == [[2, 5, 0, 0], [2, 3, 2, 5], [3, 5, 0, 0]]
    assert sets.validation.inputs[0].tolist() == [[2, 1]]
    assert sets.test.targets.tolist() == [[1, 5, 0, 0]]


def write(folder: Path, source: str | bytes, target: str | bytes) -> tuple[Path, Path]:
    paths = folder / "text.de", folder / "text.en"
    for path, text in zip(paths, (source, target), strict=True):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return paths


def test_parallel_files_are_read_line_by_line(tmp_path: Path) -> None:
    numbers = [f"{n} of 0123456789" for n in range(30)]  # in which no digit is unknown
    source, target = "\r\n".join(f"Zahl {n}" for n in numbers), "\n".join(f"number {n}" for n in numbers) + "\n"
    sets = parallel_text(*write(tmp_path, source, target), 0, 30)
    read = [pair for part in (sets.training, sets.validation, sets.test) for pair in pairs(sets, part)]
    assert sorted(read) == sorted((f"Zahl {n}", f"number {n}") for n in numbers)
    assert list(map(len, (sets.training, sets.validation, sets.test))) == [18, 6, 6]


def test_lines_with_the_same_text_are_in_the_same_set(tmp_path: Path) -> None:
    source = "".join(f"{n % 10} of 0123456789\n" for n in range(100))
    target = "".join(f"{n}\n" for n in range(100))
    sets = parallel_text(*write(tmp_path, source, target), 0, 20)
    parts = [{text for text, _ in pairs(sets, part)} for part in (sets.training, sets.validation, sets.test)]
    assert list(map(len, parts)) == [6, 2, 2]
    assert len(set().union(*parts)) == 10


def test_empty_and_long_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = [f"{n}{n}" for n in range(10)]
    paths = write(tmp_path, "\n".join([*lines, " ", "c", "aaaa", "b"]), "\n".join([*lines, "x", "", "y", "bbbb"]))
    sets = parallel_text(*paths, 0, 3)
    assert sum(map(len, (sets.training, sets.validation, sets.test))) == 10
    assert sets.notes == (
        f"Read 10 pairs of lines from {paths[0]} and {paths[1]}.",
        "Left out: 2 pairs of which a line is empty.",
        "Left out: 2 pairs of which a line has more than 3 characters (max_length).",
        *(
            f"2 of 2 translations of the {name} set have characters that fewer than 2 of the training set have: they cannot be"
            " decoded, and count as wrong."
            for name in ("validation", "test")
        ),
    )


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a\nb\nc\n", "x\ny\n", "{0} has 3 lines and {1} has 2: each line of one must translate the same line of the other."),
        ("a\n", b"x\ny\xf6\n", "{1}, line 2: byte 0xf6 is not UTF-8, in which a text file must be encoded."),
        (
            "\ufeffa\n".encode("utf-16-le"),
            "x\n",
            "{0}, line 1: byte 0xff is not UTF-8, in which a text file must be encoded (perhaps the file is UTF-16).",
        ),
        (b"a\n\0b\n", "x\ny\n", "{0}, line 2 holds a NUL byte: it is no text in UTF-8, but perhaps one in UTF-16."),
        (
            "a\n" * 9 + f"{'b' * 10}\n" * 3,
            "x\n" * 12,
            "{0} has too few lines for five folds: 1, equal ones counted once, where at least 5 are needed. Left out: 3 pairs of"
            " which a line has more than 9 characters (max_length).",
        ),
        ("", "", "{0} is empty."),
        ("a\nb\n", "", "{1} is empty."),
        ("\n" * 9, "\n" * 9, "{0} has too few lines for five folds: 0, equal ones counted once, where at least 5 are needed."),
    ],
    ids=[
        "of different length",
        "not UTF-8",
        "UTF-16 with a mark",
        "UTF-16",
        "of one line that is not too long",
        "empty",
        "without translations",
        "of empty lines",
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, source: str | bytes, target: str | bytes, message: str) -> None:
    paths = write(tmp_path, source, target)
    with pytest.raises(DataProblem, match=f"^{re.escape(message.format(*paths))}"):
        parallel_text(*paths, 0, 9)

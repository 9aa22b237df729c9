"""What a cell of text stands for: a number, a missing value, a number as a spreadsheet shows it, or a text."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from objectives.contract import DataProblem

MISSING = frozenset(["", "?", "-", "--", "---", ".", "..", "\\N", "NA", "na", "None", "NaT", "N.A."])
"""How tools write that a value is missing: pandas, R, SQL, SAS, Weka, UCI's files. Na is none of them, but sodium."""
MISSING_IN_ANY_CASE = frozenset(
    [
        *("nan", "-nan", "null", "n/a", "n.a.", "<na>", "#n/a", "#n/a n/a", "#na", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
        *("#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!"),
    ]
)
"""The same in small letters, and the errors of spreadsheets."""
MISSING_AMONG_NUMBERS = frozenset(
    {"none", "nil", "missing", "unknown", "undefined", "not available", "not applicable", "no data"}
)
"""Words, in small letters, that may be a class beside other words, but are none beside numbers."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_CURRENCY = (
    r"[$\u00a2-\u00a5\u0e3f\u20a0-\u20bf]|R\$|US\$"
    r"|USD|EUR|GBP|JPY|CHF|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|KRW|RUB|TRY"
)
_SPACE = r"[\s\u00a0\u2009\u202f]"
_MINUS = r"[+\-\u2013\u2212]"
_QUOTES = r"""'"\u2018\u2019\u201c\u201d"""
_PLAIN = rf"\d{{1,3}}(?:(?:[.,'\u2019_]|{_SPACE})\d{{2,3}})*(?:[.,]\d+)?|\d+(?:[.,]\d*)?|[.,]\d+"
DECORATED = re.compile(
    rf"=?[{_QUOTES}(\[]?{_SPACE}*[~<>\u2248\u2264\u2265]?{_SPACE}*{_MINUS}?{_SPACE}*(?:{_CURRENCY})?{_SPACE}*{_MINUS}?(?:{_PLAIN})(?:[eE][+-]?\d+)?{_SPACE}*"
    rf"(?:(?:{_CURRENCY})|[%\u2030]|(?P<unit>[a-zA-Z\u00b0\u00b5\u03a9\u03bc][\w\u00b0\u00b2\u00b3/^]*))?"
    rf"{_SPACE}*{_MINUS}?{_SPACE}*[{_QUOTES})\]]?"
)
"""A number with a sign of currency or percent, separators of thousands, a decimal comma, a unit, quotes or brackets."""
MAGNITUDES = frozenset({"k", "K", "m", "M", "b", "B", "bn", "mn"})
LONGEST = 40
"""Characters of a number as a spreadsheet shows it, at most: on longer texts the expression could take long."""
MOST_NAMES = 10
"""Of at most so many different texts such as 2door and 4door, each is a category; of more, they are numbers with a unit."""
PLAIN = "write plain numbers such as 1234.5, without currency, percent, unit, quotes or separators of thousands"


def number(cell: str) -> float | None:
    """The number that a cell holds, which may be infinite; None: it holds none."""
    return float(cell) if NUMBER.fullmatch(cell) else None


def check_header(source: Path, names: Sequence[str], first: int = 1) -> None:
    """Raise DataProblem unless there are at least two columns, and each has a unique name. first: the number of the first."""
    known = set()
    for position, name in enumerate(names, start=first):
        if not name:
            raise DataProblem(f"{source}: column {position} has no name in the header.")
        if name in known:
            raise DataProblem(f"{source}: the header has two columns {name!r}, but names must be unique.")
        known.add(name)
    if len(names) < 2:
        raise DataProblem(f"{source} has one column only, {names[0]!r}, where the target and an input are needed.")


def is_missing(cell: str) -> bool:
    """Whether a cell marks a missing value, whatever stands in the other cells of its column."""
    return cell in MISSING or cell.lower() in MISSING_IN_ANY_CASE


def check_present(source: object, name: str, cells: Sequence[str], rows: Sequence[int]) -> None:
    """Raise DataProblem for the first cell that marks a missing value. rows: the row of each cell in the file."""
    present = set(cells)
    if "+" in present:
        present -= {"-", "--", "---"}  # classes such as + and -
    if missing := {cell for cell in present if is_missing(cell)}:
        row, cell = next((row, cell) for row, cell in zip(rows, cells, strict=True) if cell in missing)
        raise missing_cell(source, row, name, cell)


def missing_cell(source: object, row: int, name: str, cell: str) -> DataProblem:
    if not cell:
        return DataProblem(f"{source}, row {row}, column {name!r} is empty: every cell needs a value.")
    return DataProblem(
        f"{source}, row {row}, column {name!r}: {cell!r} marks a missing value, but every cell needs one: fill it in, or take the"
        " row out."
    )


def decorated(cells: Collection[str]) -> bool:
    """Whether all cells are numbers as a spreadsheet shows them, so that none is a plain one."""
    units, different = set(), set(cells)
    for cell in different:
        found = DECORATED.fullmatch(cell) if len(cell) <= LONGEST else None
        if found is None:
            return False
        units.add(found["unit"])
    units.discard(None)
    return not units or ((len(units) == 1 or units <= MAGNITUDES) and len(different) > MOST_NAMES)

"""What a cell of a log stands for: a rate, a value of the metric, a step, a seed, a parameter, or whether a run diverged."""

import math
from collections.abc import Sequence

from objectives.contract import DataProblem
from objectives.data.cells import PLAIN, decorated, is_missing, number
from service.domain.measurement import MAX_STEP
from service.domain.space import Scalar
from service.imports.table import Cell, Table

NOT_A_NUMBER = frozenset({"nan", "+nan", "-nan", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "#num!", "#div/0!"})
"""How tools write the result of a computation that has none, in small letters."""
LONGEST_SHOWN = 40
MAX_SEED = 2**63


def is_empty(cell: Cell) -> bool:
    """Whether a cell says nothing. nan is a value."""
    if isinstance(cell, str):
        return is_missing(cell) and cell.lower() not in NOT_A_NUMBER
    return cell is None


def real(cell: object, where: str) -> float:
    """The number in a cell, which may be nan or infinite. where: the cell, for messages. Raises DataProblem."""
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        try:
            return float(cell)
        except OverflowError:
            return math.inf if cell > 0 else -math.inf
    if isinstance(cell, str):
        if cell.strip().lower() in NOT_A_NUMBER:
            return math.nan
        if (value := number(cell.strip())) is not None:
            return value
        hint = f": {PLAIN}" if decorated([cell]) else ""
        raise DataProblem(f"{where}: {_shown(cell)} is not a number{hint}.")
    raise DataProblem(f"{where}: {_shown(cell)} is not a number.")


def rate(cell: Cell, where: str) -> float:
    """A learning rate: finite, and above 0. Raises DataProblem."""
    value = real(cell, where)
    if not (math.isfinite(value) and value > 0):
        raise DataProblem(f"{where}: {_shown(cell)} is no learning rate, which is a finite number above 0.")
    return value


def whole(cell: Cell, where: str, what: str, below: int) -> int:
    """A whole number from 0. what: what it is. Raises DataProblem."""
    value = real(cell, where)
    exact = cell if isinstance(cell, int) else int(value) if value.is_integer() else None
    if isinstance(cell, str) and len(cell) <= LONGEST_SHOWN and cell.strip().isascii() and cell.strip().isdecimal():
        exact = int(cell)  # a float has not all of its digits
    if exact is None or not 0 <= exact < below:
        raise DataProblem(f"{where}: {_shown(cell)} is no {what}, which is a whole number from 0 to {below - 1:,}.")
    return exact


def step(cell: Cell, where: str) -> int:
    """Raises DataProblem."""
    return whole(cell, where, "step", MAX_STEP)


def seed(cell: Cell, where: str) -> int:
    """Raises DataProblem."""
    return whole(cell, where, "seed", MAX_SEED)


def flag(cell: Cell, where: str) -> bool:
    """Whether a run diverged: an empty cell says no. Raises DataProblem."""
    if is_empty(cell):
        return False
    said = str(cell).strip().lower()
    if said in ("true", "yes", "y", "t", "1", "1.0", "diverged"):
        return True
    if said in ("false", "no", "n", "f", "0", "0.0"):
        return False
    raise DataProblem(f"{where}: {_shown(cell)} does not say whether the run diverged: write true or false.")


def parameter(table: Table, name: str, cells: Sequence[Cell]) -> list[Scalar | None]:
    """The values of a parameter, of one type: whole numbers, numbers, true and false, or texts; None where a cell is empty.

    Raises DataProblem when numbers and texts are mixed, a number is not finite, or a cell holds something else.
    """
    given = [(index, cell) for index, cell in enumerate(cells) if not is_empty(cell)]
    for index, cell in given:
        if not isinstance(cell, bool | int | float | str):
            raise DataProblem(f"{table.at(index, name)}: {_shown(cell)} is no number, text, true or false.")
    texts = [(index, cell) for index, cell in given if isinstance(cell, str) and number(cell.strip()) is None]
    if texts and all(isinstance(cell, str) and cell.strip().lower() in ("true", "false") for _, cell in texts + given):
        return [None if is_empty(cell) else str(cell).strip().lower() == "true" for cell in cells]
    if texts and len(texts) < len(given):
        index, cell = texts[0]
        raise DataProblem(f"{table.at(index, name)}: {_shown(cell)} is not a number, but other cells of the column are.")
    if texts or all(isinstance(cell, bool) for _, cell in given):
        return [None if is_empty(cell) else cell if isinstance(cell, bool) else str(cell).strip() for cell in cells]
    numbers = {index: real(cell, table.at(index, name)) for index, cell in given}
    for index, value in numbers.items():
        if not math.isfinite(value):
            raise DataProblem(f"{table.at(index, name)}: {_shown(cells[index])} is not a finite number.")
    if all(_is_whole(cell) for _, cell in given):
        return [None if is_empty(cell) else int(cell) for cell in cells]  # type: ignore[arg-type]
    return [numbers.get(index) for index in range(len(cells))]


def _is_whole(cell: Cell) -> bool:
    """Whether it is written as a whole number of at most 15 digits."""
    if isinstance(cell, str):
        return cell.strip().lstrip("+-").isdecimal() and len(cell.strip()) <= 16
    return isinstance(cell, int) and abs(cell) < 10**15


def _shown(cell: object) -> str:
    text = repr(cell)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."

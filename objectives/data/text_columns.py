"""Which column of a table holds texts and which their classes, and the texts as sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from objectives.contract import DataProblem
from objectives.data.characters import TextSets, text_sets
from objectives.data.columns import MOST_LISTED, Classes
from objectives.data.notes import contents
from objectives.data.split import complete_split

TEXT, LABEL = "text", "label"
"""How data sets on the Hugging Face Hub call the columns."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a job's settings ask for."""

    text: str | None
    """The column of texts; None: see `text_and_target`."""
    target: str | None
    """The column of classes; None: see `text_and_target`."""
    max_length: int
    """Characters of a text that are used, the first ones."""


def text_and_target(source: Path, names: Sequence[str], wanted: Wanted) -> tuple[str, str]:
    """The columns of texts and of classes; where the settings name none, those called text and label, or else the only one left.

    Raises DataProblem when there is no such column.
    """
    for setting, name in (("text", wanted.text), ("target", wanted.target)):
        if name is not None and name not in names:
            raise DataProblem(f"{source} has no column {name!r}, which {setting} names; its columns are {_listed(names)}.")
    target = wanted.target if wanted.target is not None else _usual(source, names, LABEL, "target", other=wanted.text)
    text = wanted.text if wanted.text is not None else _usual(source, names, TEXT, "text", other=target)
    if text == target:
        raise DataProblem(f"{source}: text and target are one column, {text!r}, where two are needed.")
    return text, target


def _usual(source: Path, names: Sequence[str], usual: str, setting: str, *, other: str | None) -> str:
    if usual in names and usual != other:
        return usual
    left = [name for name in names if name != other and (other is not None or name != TEXT)]
    if len(left) == 1:
        return left[0]
    raise DataProblem(f"{source} has no column {usual!r}: name one as {setting}; its columns are {_listed(names)}.")


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:MOST_LISTED])}{', ...' if len(names) > MOST_LISTED else ''}"


def texts_of_table(
    source: Path,
    texts: Sequence[str],
    classes: Classes,
    columns: tuple[str, str],
    fold: int,
    max_length: int,
    *,
    n_validation: int = 0,
    n_test: int = 0,
    notes: Sequence[str] = (),
) -> TextSets:
    """Texts and their classes as sets; the last n_test are the test set, and the n_validation before them the validation set.

    columns: of texts and classes. A set without examples of its own is split off the rest. Raises DataProblem.
    """
    split = complete_split(classes.labels, fold, n_validation=n_validation, n_test=n_test, source=source, classes=classes.names)
    told = contents(source, "texts", classes.labels, classes.names)
    used = f"The texts are in column {columns[0]!r}, the classes in {columns[1]!r}."
    return text_sets(texts, classes.labels, split, len(classes.names), max_length, [told, used, *notes])

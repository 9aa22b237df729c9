"""What a table means, whatever file it is written to, and whether sets are made of just that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import strategies as st

from objectives.data.columns import Kind
from objectives.data.examples import Sets
from objectives.data.split import Split, random_split, stratified_split

N_ROWS = 24
WORDS = (
    *("red", "blue", "a,b", 'say "hi"', "línea", "line\nbreak", "x;y", "tab\tbed", "ünï", "日本", "🙂", "O'Neil", "#1", "1st"),
    *("True", "-x", "e5", "0x1F", "no data yet", "2024-01-05", "12:30", "(none)", "A1", "+-", "Na", "nano", "Unnamed: 0"),
)
NAMES = ("a", "b", "size (cm)", "größe", "x,y", 'q"r', "id", "2nd", "a.b", "__index__", "y")
CLASSES = (
    *(("no", "yes"), ("0", "1"), ("1", "2", "3"), ("01", "02"), ("9007199254740993", "9007199254740992"), ("1.5", "-2.5")),
    *(("a", "1"), ("+", "-"), ("5%", "10%"), ("none", "mild", "severe"), ("18446744073709551615", "7"), ("0.1", "0.10", "2")),
)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """A table. Inputs are numbers or texts, the target of regression is numbers; classes are texts, of numbers too."""

    inputs: Mapping[str, Sequence[float] | Sequence[str]]
    target: str
    values: Sequence[str] | Sequence[float]
    kind: Kind
    fold: int


@st.composite
def meanings(draw: st.DrawFn) -> Meaning:
    """Tables of one to four inputs."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    inputs: dict[str, Any] = {}
    for name in names[:-1]:
        if draw(st.booleans()):
            numbers = st.one_of(
                st.integers(-(2**40), 2**40).map(float), st.floats(-1e30, 1e30), st.sampled_from([0.0, 1.0, -2.5])
            )
            inputs[name] = draw(st.lists(numbers, min_size=N_ROWS, max_size=N_ROWS))
        else:
            words = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True))
            inputs[name] = [words[draw(st.integers(0, len(words) - 1))] for _ in range(N_ROWS)]
    kind: Kind = draw(st.sampled_from(["classification", "regression"]))
    if kind == "classification":
        classes = draw(st.sampled_from(CLASSES))
        values: list[Any] = [classes[row % len(classes)] for row in range(N_ROWS)]
    else:
        values = [row * draw(st.sampled_from([0.5, 1.0, -3.0])) for row in range(N_ROWS)]
        values[0] = 1e6  # never all equal
        values[1] = values[2] = values[3] = -1e6
    return Meaning(inputs=inputs, target=names[-1], values=values, kind=kind, fold=draw(st.integers(0, 4)))


def check_sets(sets: Sets, meaning: Meaning) -> None:
    """Raise AssertionError unless the sets hold every row and column of the table as it is meant."""
    if meaning.kind == "classification":
        labels = _labels(meaning.values)
        split = stratified_split(labels, meaning.fold)
        targets = labels
        assert sets.n_classes == labels.max() + 1
    else:
        split = random_split(len(meaning.values), meaning.fold)
        targets = _standardized(np.array(meaning.values, dtype=np.float64), split)
    columns = [column for values in meaning.inputs.values() for column in _inputs(values, split)]
    for part, rows in zip((sets.training, sets.validation, sets.test), split, strict=True):
        assert part.inputs.shape == (len(rows), len(columns))
        for position, column in enumerate(columns):
            np.testing.assert_allclose(part.inputs[:, position], column[rows], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(part.targets, targets[rows], rtol=1e-4, atol=1e-5)


def _labels(values: Sequence[Any]) -> np.ndarray:
    """Classes in order of their numbers where all are numbers, otherwise of their texts."""
    try:
        keys = [Decimal(value) for value in values]
    except ArithmeticError:
        keys = list(values)
    different = sorted(set(keys))
    return np.array([different.index(key) for key in keys])


def _inputs(values: Sequence[Any], split: Split) -> list[np.ndarray]:
    if isinstance(values[0], str):
        return [np.array([value == word for value in values]) for word in sorted({values[row] for row in split.training})]
    return [_standardized(np.array(values, dtype=np.float64), split)]


def _standardized(values: np.ndarray, split: Split) -> np.ndarray:
    seen = values[split.training]
    if len(set(seen)) == 1:
        return 0 * values
    largest = np.abs(seen).max()  # the square of a tiny number would be 0
    scaled = values / largest
    return (scaled - (seen / largest).mean()) / (seen / largest).std()

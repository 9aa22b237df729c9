"""Parallel text: two files in UTF-8, of which each line of one translates the same line of the other."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from objectives.contract import DataProblem
from objectives.data.files import KEPT, DataFile, data_file
from objectives.data.split import N_FOLDS, random_split
from objectives.data.translations import Pair, Translations, translations
from objectives.data.utf8 import read_utf8

MOST_VALIDATED = 1_000
"""Pairs of the validation set: decoding takes longer than training. The others of its fold are trained on."""


def parallel_text(source: Path, target: Path, fold: int, max_length: int) -> Translations:
    """The lines as sets, those with the same text in the same one. max_length: in characters; longer lines are left out.

    Raises DataProblem. The last KEPT results are cached until a file changes.
    """
    return _load(data_file(source), data_file(target), fold, max_length)


@lru_cache(maxsize=KEPT)
def _load(source: DataFile, target: DataFile, fold: int, max_length: int) -> Translations:
    sources, targets = _lines(source.path), _lines(target.path)
    if len(sources) != len(targets):
        raise DataProblem(
            f"{source.path} has {len(sources)} lines and {target.path} has {len(targets)}: each line of one must translate the"
            " same line of the other."
        )
    read = list(zip(sources, targets, strict=True))
    filled = [pair for pair in read if all(pair)]
    used = [pair for pair in filled if max(map(len, pair)) <= max_length]
    texts = list(dict.fromkeys(text for text, _ in used))
    left_out = []
    if n_empty := len(read) - len(filled):
        left_out.append(f"Left out: {n_empty} pairs of which a line is empty.")
    if n_long := len(filled) - len(used):
        left_out.append(f"Left out: {n_long} pairs of which a line has more than {max_length} characters (max_length).")
    if len(texts) < N_FOLDS:
        few = (
            f"{source.path} has too few lines for five folds: {len(texts)}, equal ones counted once, where at least 5 are needed."
        )
        raise DataProblem(" ".join([few, *left_out]))
    split = random_split(len(texts), fold)
    place_of = {text: place for place, text in enumerate(texts)}
    validated, tested = set(split.validation[:MOST_VALIDATED].tolist()), set(split.test.tolist())
    training: list[Pair] = []
    validation: list[Pair] = []
    test: list[Pair] = []
    for pair in used:
        place = place_of[pair[0]]
        (validation if place in validated else test if place in tested else training).append(pair)
    read_from = f"Read {len(used)} pairs of lines from {source.path} and {target.path}."
    return translations(training, validation, test, (read_from, *left_out))


def _lines(path: Path) -> list[str]:
    text = read_utf8(path, "a text file")
    if not text:
        raise DataProblem(f"{path} is empty.")
    lines = text.removesuffix("\n").split("\n")
    return [unicodedata.normalize("NFC", line.strip()) for line in lines]

"""Texts as numbers: one for each character, from a vocabulary of the training set."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from objectives.data.examples import Examples, Sets
from objectives.data.split import Split

PADDING = 0
UNKNOWN = 1
FIRST = 2
"""The number of the vocabulary's first character."""
SEEN_IN = 2
"""Texts of the training set that a character must be in. Others are unknown, so that what is unknown is learned as well."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TextSets(Sets):
    """Inputs are (n, max_length), int32: the number of each character, and PADDING behind the last one."""

    characters: str
    """The vocabulary, without padding and unknown."""

    @property
    def n_tokens(self) -> int:
        """The vocabulary's size, with padding and unknown."""
        return FIRST + len(self.characters)


def text_sets(
    texts: Sequence[str], labels: NDArray[np.int64], split: Split, n_classes: int, max_length: int, notes: Sequence[str] = ()
) -> TextSets:
    """Texts, which are not empty, and their labels (n,) as sets. Of longer texts the first max_length characters are used."""
    texts = [unicodedata.normalize("NFC", text) for text in texts]
    cut = [text[:max_length] for text in texts]
    characters = vocabulary(cut[position] for position in split.training)
    inputs = encoded(cut, characters, max_length)
    targets = torch.from_numpy(labels)
    training, validation, test = (Examples(inputs=inputs[part], targets=targets[part]) for part in split)
    sets = TextSets(training=training, validation=validation, test=test, n_classes=n_classes, characters=characters)
    n_cut = sum(len(text) > max_length for text in texts)
    rest = [f"Of {n_cut} texts only the first {max_length} characters are used."] if n_cut else []
    trained = {cut[position] for position in split.training}
    n_shared = sum(cut[position] in trained for part in (split.validation, split.test) for position in part)
    if n_shared:
        rest.append(
            f"Texts of the validation and the test set that are, as far as they are used, in the training set, too: {n_shared}."
        )
    return replace(sets, notes=(*notes, f"The vocabulary has {len(characters)} characters.", *rest))


def vocabulary(texts: Iterable[str]) -> str:
    """The characters that occur in SEEN_IN texts or more, in the order of Unicode."""
    counts = Counter(character for text in texts for character in set(text))
    return "".join(sorted(character for character, n in counts.items() if n >= SEEN_IN))


def encoded(texts: Sequence[str], characters: str, max_length: int) -> Tensor:
    """The number of each character, (n, max_length), int32, padded on the right."""
    numbers = {character: number for number, character in enumerate(characters, start=FIRST)}
    inputs = torch.full((len(texts), max_length), PADDING, dtype=torch.int32)
    for row, text in zip(inputs, texts, strict=True):
        row[: len(text)] = torch.tensor([numbers.get(character, UNKNOWN) for character in text], dtype=torch.int32)
    return inputs

"""Pairs of texts, of which one translates the other, as sequences of characters."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from objectives.data.characters import FIRST, PADDING, SEEN_IN, UNKNOWN, encoded, vocabulary
from objectives.data.examples import Examples, Sets

Pair = tuple[str, str]
"""A text and its translation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Translations(Sets):
    """Inputs are a text, (n, longest text), and its translation behind `begin`, (n, longest translation + 1).

    Targets are the translation before `end`, of the same shape as the latter. All are numbers of characters, with padding on the
    right.
    """

    sources: str
    """The vocabulary of the texts."""
    targets: str
    """The vocabulary of the translations."""

    @property
    def n_sources(self) -> int:
        """The number of tokens in texts, with padding and unknown."""
        return FIRST + len(self.sources)

    @property
    def begin(self) -> int:
        """The token before the first one of a translation."""
        return FIRST + len(self.targets)

    @property
    def end(self) -> int:
        """The token behind the last one of a translation."""
        return self.begin + 1

    @property
    def n_targets(self) -> int:
        """The number of tokens in translations, with padding, unknown, `begin` and `end`."""
        return self.begin + 2


def translations(
    training: Sequence[Pair], validation: Sequence[Pair], test: Sequence[Pair], notes: Sequence[str] = ()
) -> Translations:
    """The pairs of the three sets, whose texts are not empty, with the vocabularies of the training set."""
    parts = (training, validation, test)
    sources, targets = (vocabulary(pair[side] for pair in training) for side in (0, 1))
    longest_source, longest_target = (max(len(pair[side]) for part in parts for pair in part) for side in (0, 1))
    begin = FIRST + len(targets)
    end = begin + 1

    def examples(pairs: Sequence[Pair]) -> Examples:
        source = encoded([text for text, _ in pairs], sources, longest_source)
        target = encoded([text for _, text in pairs], targets, longest_target)
        begun = torch.nn.functional.pad(target, (1, 0), value=begin)
        ended = torch.nn.functional.pad(target, (0, 1), value=PADDING).long()
        ended[torch.arange(len(pairs)), (target != PADDING).sum(dim=1)] = end
        return Examples(inputs=(source, begun), targets=ended)

    of_training, of_validation, of_test = map(examples, parts)
    rare = [
        f"{n_rare} of {len(part)} translations of the {name} set have characters that fewer than {SEEN_IN} of the training set"
        " have: they cannot be decoded, and count as wrong."
        for name, part in (("validation", of_validation), ("test", of_test))
        if (n_rare := int((part.targets == UNKNOWN).any(dim=1).sum()))
    ]
    return Translations(
        training=of_training,
        validation=of_validation,
        test=of_test,
        n_classes=None,
        notes=(*notes, *rare),
        sources=sources,
        targets=targets,
    )

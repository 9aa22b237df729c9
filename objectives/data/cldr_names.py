"""Names of the CLDR in twelve languages: of languages, currencies and time zones.

Source: https://cldr.unicode.org, as the package babel has it. Several of the languages are close relatives: Czech, Slovak and
Polish; Danish and Swedish; Dutch and German; Spanish, Portuguese and Italian.

A name that is spelled alike in two of the languages is left out. What a name is of (one language, one currency, ...) is in one
of the three sets only, in all languages, so that no name and no translation of a name is in two of them. Names that are alike in
the characters that are used count as one.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.characters import TextSets, text_sets
from objectives.data.cldr import locale
from objectives.data.files import KEPT
from objectives.data.notes import contents
from objectives.data.split import Split, random_split

LANGUAGES = ("cs", "da", "de", "es", "fi", "fr", "it", "nl", "pl", "pt", "sk", "sv")
SOURCE = "the data set cldr-names"

Concept = tuple[str, str]
"""What a name is of: its kind, and its code in the CLDR."""


@lru_cache(maxsize=KEPT)
def cldr_names(fold: int = 0, max_length: int = 32) -> TextSets:
    """The names as sets, with a class for each language. The last KEPT results are cached. Raises DataProblem."""
    examples = sorted(_names_of_one_language())
    concepts = sorted({concept for concept, _, _ in examples})
    position = {concept: place for place, concept in enumerate(concepts)}
    of_concept = np.array([position[concept] for concept, _, _ in examples])
    parts = [np.flatnonzero(np.isin(of_concept, part)) for part in random_split(len(concepts), fold, source=SOURCE)]
    labels = np.array([LANGUAGES.index(language) for _, language, _ in examples])
    names = [name for *_, name in examples]
    split = _told_apart([name[:max_length].casefold() for name in names], labels, parts)
    if not all(map(len, split)):
        raise DataProblem(f"max_length is {max_length}: by so few characters, no names of {SOURCE} can be told apart.")
    notes = [contents("the CLDR", "names", labels, LANGUAGES)]
    if n_alike := len(names) - sum(map(len, split)):
        alike = "are those of a name in another language, or in another of the three sets"
        notes.append(f"Left out: {n_alike} names whose first {max_length} characters {alike}.")
    return text_sets(names, labels, split, len(LANGUAGES), max_length, notes)


def _told_apart(used: Sequence[str], labels: NDArray[np.int64], parts: Iterable[NDArray[np.int64]]) -> Split:
    """The sets, without the texts of several labels and, in the validation and the test set, those of the sets before them."""
    labels_of = defaultdict(set)
    for text, label in zip(used, labels.tolist(), strict=True):
        labels_of[text].add(label)
    before: set[str] = set()
    kept = []
    for part in parts:
        kept.append(
            np.array([place for place in part if len(labels_of[used[place]]) == 1 and used[place] not in before], np.int64)
        )
        before.update(used[place] for place in kept[-1])
    return Split(training=kept[0], validation=kept[1], test=kept[2])


def _names_of_one_language() -> Iterator[tuple[Concept, str, str]]:
    """Each different name that one language only has, as (concept, language, name): of its first concept there."""
    names = {language: dict(_names(language)) for language in LANGUAGES}
    languages_of = defaultdict(set)
    for language, of_language in names.items():
        for name in of_language.values():
            languages_of[name.casefold()].add(language)
    for language, of_language in names.items():
        first: dict[str, Concept] = {}
        for concept in sorted(of_language):
            first.setdefault(of_language[concept].casefold(), concept)
        yield from ((concept, language, of_language[concept]) for name, concept in first.items() if len(languages_of[name]) == 1)


def _names(language: str) -> Iterator[tuple[Concept, str]]:
    of = locale(language, "The data set cldr-names")
    for kind in ("languages", "currencies"):
        for code, name in getattr(of, kind).items():
            yield (kind, code), unicodedata.normalize("NFC", name)
    for zone, forms in of.meta_zones.items():
        if name := forms.get("long", {}).get("standard"):
            yield ("time zones", zone), unicodedata.normalize("NFC", name)

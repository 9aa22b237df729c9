"""Names of the CLDR in twelve languages: of territories, languages, scripts, currencies and time zones.

Source: https://cldr.unicode.org, as the package babel has it. Several of the languages are close relatives: Czech, Slovak and
Polish; Danish and Swedish; Dutch and German; Spanish, Portuguese and Italian.

A name that is spelled alike in two of the languages is left out. What a name is of (one territory, one currency, ...) is in one
of the three sets only, in all languages, so that no name and no translation of a name is in two of them.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

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
    """The names as sets, with a class for each language. The last KEPT results are cached. Raises DataProblem without babel."""
    examples = sorted(_names_of_one_language())
    concepts = sorted({concept for concept, _, _ in examples})
    position = {concept: place for place, concept in enumerate(concepts)}
    of_concept = np.array([position[concept] for concept, _, _ in examples])
    parts = [np.flatnonzero(np.isin(of_concept, part)) for part in random_split(len(concepts), fold, source=SOURCE)]
    labels = np.array([LANGUAGES.index(language) for _, language, _ in examples])
    split = Split(training=parts[0], validation=parts[1], test=parts[2])
    told = contents("the CLDR", "names", labels, LANGUAGES)
    return text_sets([name for *_, name in examples], labels, split, len(LANGUAGES), max_length, [told])


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

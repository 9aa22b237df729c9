"""Written dates in twelve languages, and the same dates as ISO 8601 has them: "vendredi 5 mars 1909", "1909-03-05".

Source: the full, long, medium and short forms of the Unicode CLDR, by babel, which the extra `text` installs. Forms without the
whole year are left out, since they stand for several dates. A year is in one of the three sets only: a model must have learned
to copy its digits.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from objectives.data.cldr import locale
from objectives.data.split import random_split
from objectives.data.translations import Pair, Translations, translations

LANGUAGES = ("cs", "de", "en", "es", "fi", "fr", "hu", "it", "nl", "pl", "pt", "tr")
FORMS = ("full", "long", "medium", "short")
YEARS = np.arange(1700, 2300)
N_TRAINING = 6_000
N_OTHERS = 1_000
"""Of the validation and of the test set, each."""


@cache
def written_dates(fold: int = 0) -> Translations:
    """The three sets, cached per process and fold: a fifth of the years is for testing. Raises DataProblem without babel."""
    split = random_split(len(YEARS), fold, source="years")
    generator = np.random.RandomState(fold)
    training, validation, test = (
        _drawn(YEARS[places], n, generator) for places, n in zip(split, (N_TRAINING, N_OTHERS, N_OTHERS), strict=True)
    )
    return translations(training, validation, test)


def _drawn(years: NDArray[np.int64], n: int, generator: np.random.RandomState) -> list[Pair]:
    """n different texts of days in these years, each with its date."""
    drawn: dict[str, str] = {}
    for text, iso in _texts(years, generator):
        drawn[text] = iso
        if len(drawn) == n:
            break
    return list(drawn.items())


def _texts(years: NDArray[np.int64], generator: np.random.RandomState) -> Iterator[Pair]:
    locales = [locale(language, "The data set dates") for language in LANGUAGES]
    from babel.dates import format_date

    while True:
        first_day = date(int(generator.choice(years)), 1, 1)
        day = first_day + timedelta(days=int(generator.randint(365)))
        text = format_date(day, FORMS[generator.randint(len(FORMS))], locales[generator.randint(len(locales))])
        if str(day.year) in text:
            yield text, day.isoformat()

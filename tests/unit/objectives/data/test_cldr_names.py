import sys
from collections import Counter, defaultdict
from functools import cache

import pytest
from babel import Locale

from objectives.contract import DataProblem
from objectives.data.cldr_names import LANGUAGES, cldr_names
from objectives.data.examples import Examples

LONGEST = 100
"""No name is cut."""


@cache
def names_in(fold: int = 0, max_length: int = LONGEST) -> list[list[tuple[str, str]]]:
    """The names of each set with their languages. An unknown character is a space here, which is in all vocabularies."""
    sets = cldr_names(fold, max_length)
    characters = "\0\N{REPLACEMENT CHARACTER}" + sets.characters

    def read(part: Examples) -> list[tuple[str, str]]:
        return [
            ("".join(characters[number] for number in numbers if number), LANGUAGES[label])
            for numbers, label in zip(part.inputs.tolist(), part.targets.tolist(), strict=True)
        ]

    return [read(part) for part in (sets.training, sets.validation, sets.test)]


def test_a_name_has_the_language_that_it_is_written_in() -> None:
    everything = dict(pair for part in names_in() for pair in part)
    for language, name in (("da", "schweizisk tysk"), ("fi", "Sveitsin frangi"), ("sk", "východoafrický čas")):
        assert everything.get(name, language) == language, name
    assert everything["Sveitsin frangi"] == "fi"


def test_no_name_is_in_two_sets_or_languages() -> None:
    counts = Counter(name.casefold() for part in names_in() for name, _ in part if "\N{REPLACEMENT CHARACTER}" not in name)
    assert counts.most_common(1)[0][1] == 1


def test_names_that_are_cut_are_in_one_set_and_one_language_and_the_log_counts_the_others() -> None:
    languages_of = [defaultdict(set) for _ in range(3)]
    for of_part, part in zip(languages_of, names_in(0, 10), strict=True):
        for name, language in part:
            if "\N{REPLACEMENT CHARACTER}" not in name:
                of_part[name.casefold()].add(language)
    assert all(len(languages) == 1 for of_part in languages_of for languages in of_part.values())
    assert sum(map(len, languages_of)) == len(set().union(*languages_of)) > 1000
    n_left = sum(map(len, names_in())) - sum(map(len, names_in(0, 10)))
    alike = "names whose first 10 characters are those of a name in another language, or in another of the three sets."
    assert f"Left out: {n_left} {alike}" in cldr_names(0, 10).notes


def test_too_few_characters_to_tell_names_apart_are_refused() -> None:
    with pytest.raises(DataProblem, match=r"^max_length is 1: by so few characters, no names of the data set cldr-names can"):
        cldr_names(3, 1)


def test_a_language_is_named_in_one_set_only() -> None:
    """All names of one thing are in the same set."""
    sets_of = [{name for name, _ in part} for part in names_in()]
    n_found = 0
    for code in Locale("de").languages:
        names = {Locale(language).languages.get(code) for language in LANGUAGES}
        found = [bool(names & part) for part in sets_of]
        n_found += any(found)
        assert sum(found) <= 1 or _is_ambiguous(code), code
    assert n_found > 300


def _is_ambiguous(code: str) -> bool:
    """Whether a name of it names something else in the same language, by which it is in another set."""
    for language in LANGUAGES:
        names = [name for kind in ("languages", "currencies") for name in getattr(Locale(language), kind).values()]
        if names.count(Locale(language).languages.get(code)) > 1:
            return True
    return False


def test_every_language_has_names_in_every_set_and_every_fold_is_another_split() -> None:
    for fold in (0, 4):
        for part in names_in(fold):
            assert {language for _, language in part} == set(LANGUAGES)
    known = [(len(name), language) for name, language in names_in(0)[2]]
    assert known == [(len(name), language) for name, language in names_in(4)[1]], "the test set of fold 0"


def test_without_babel_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "babel", None)
    cldr_names.cache_clear()
    with pytest.raises(DataProblem, match=r"^The data set cldr-names needs babel: pip install 'stride-lr\[text\]'\.$") as raised:
        cldr_names()
    assert raised.value.for_every_trial

"""All sets, by the group that they are loaded in."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from benchmarks.record_tables import RECIPES
from benchmarks.recorded import deepobs, hpobench, opda, trained
from benchmarks.recorded.recorded_set import RecordedSet
from benchmarks.recorded.reference import Missing

LOADERS: Mapping[str, Callable[[str | None], list[RecordedSet]]] = {
    "hpobench": hpobench.load,
    "deepobs": deepobs.load,
    "opda": opda.load,
    **{name: partial(trained.load, name) for name in RECIPES},
}


@cache
def load(group: str, reference: str | None = None) -> dict[str, RecordedSet]:
    """The sets of a group, by key. Raises Missing."""
    return {each.key: each for each in LOADERS[group](reference)}


def find(wanted: Sequence[str], reference: str | None = None) -> tuple[list[tuple[str, str]], list[str]]:
    """(group, key) of the sets wanted, and what is missing, a line each.

    wanted: groups, or words that are parts of keys; empty: all.
    """
    found, missing = [], []
    for group in LOADERS:
        try:
            keys = list(load(group, reference))
        except Missing as problem:
            missing.append(f"{group}: {problem}")
            continue
        found += [(group, key) for key in keys if not wanted or any(word == group or word in key for word in wanted)]
    return found, missing

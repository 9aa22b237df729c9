"""What installed packages offer: entry points of the group `stride.objectives`, found without importing anything of theirs."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from objectives.own_modules import CatalogProblem

GROUP = "stride.objectives"


@dataclass(frozen=True, kw_only=True)
class Offered:
    """What one entry point names."""

    name: str
    """Of the entry point; a function's objective is called so."""
    module: str
    function: str | None
    """None: the `OBJECTIVES` of the module."""


def installed() -> list[EntryPoint]:
    """The entry points of all distributions on the import path; of one that is there twice, the first."""
    return sorted(entry_points(group=GROUP), key=lambda each: (_distribution(each), each.name))


def offered(entry: EntryPoint) -> Offered:
    """What it names. Raises CatalogProblem."""
    module, colon, function = (part.strip() for part in entry.value.partition(":"))
    if not all(part.isidentifier() for part in module.split(".")) or bool(colon) != function.isidentifier():
        raise CatalogProblem("its value is neither MODULE nor MODULE:FUNCTION")
    return Offered(name=entry.name, module=module, function=function or None)


def described(entry: EntryPoint) -> str:
    """The distribution and the entry point, in words."""
    return f"{_distribution(entry)}, entry point {entry.name} = {entry.value}"


def _distribution(entry: EntryPoint) -> str:
    return "a distribution without a name" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"

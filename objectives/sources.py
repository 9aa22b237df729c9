"""The source files of users' objectives, found without importing what trains: it may import torch."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from objectives.contract import Objective
from objectives.documents import version_sha256
from objectives.own_modules import CatalogProblem, import_own, objectives_in


def own_versions(catalog: Mapping[str, Objective], modules: Sequence[str]) -> dict[str, bytes]:
    """The sha256 of declaration and source of each objective in the `OBJECTIVES` of these modules, by name.

    catalog: what `load_catalog` made of the modules. Raises CatalogProblem.
    """
    return {
        objective.name: version_sha256(objective, *map(source_of, places))
        for module in modules
        for objective, places in _places(catalog, module)
    }


def source_digests(catalog: Mapping[str, Objective], modules: Sequence[str]) -> dict[str, str]:
    """The sha256, in hexadecimal digits, of the file of each module that declares or trains, by the module's name.

    Modules without a file to read are left out. catalog: as in `own_versions`.
    """
    places = {place for module in modules for _, places in _places(catalog, module) for place in places}
    sources = {place: source_of(place) for place in sorted(places)}
    return {place: hashlib.sha256(source).hexdigest() for place, source in sources.items() if source}


def refuse_changed(catalog: Mapping[str, Objective], module: str, digests: Mapping[str, str]) -> None:
    """Raises CatalogProblem when a file that declares or trains what `module` has is not as it was for `source_digests`."""
    for place in (place for _, places in _places(catalog, module) for place in places):
        if place in digests and not is_unchanged(place, digests):
            raise CatalogProblem(f"{place} has changed since this worker was started, so start it again ({file_of(place)})")


def is_unchanged(module: str, digests: Mapping[str, str]) -> bool:
    """Whether the module's file is as it was for `source_digests`, as far as that is known."""
    return hashlib.sha256(source_of(module)).hexdigest() == digests.get(module)


def _places(catalog: Mapping[str, Objective], module: str) -> Iterator[tuple[Objective, list[str]]]:
    """The objectives that the module declares, each with the modules that declare and train it."""
    for entry in objectives_in(import_own(module)):
        objective = catalog[entry.name]
        yield objective, [module] if objective.module == module else [module, objective.module]


def source_of(module: str) -> bytes:
    """The bytes of the module's file; b"" where there is none to read, as of a package without one, or of a file that is gone."""
    file = file_of(module)
    if file is None:
        return b""
    try:
        return file.read_bytes()
    except FileNotFoundError:  # since the module was imported
        return b""


def file_of(module: str) -> Path | None:
    """The module's file; None: there is none. `importlib.util.find_spec` would import the packages around it."""
    if (known := getattr(sys.modules.get(module), "__file__", None)) is not None:
        return Path(known)
    places: Sequence[str] | None = None
    spec = None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        # All finders, since editable installations have their own.
        found = (finder.find_spec(".".join(parts[:count]), places) for finder in sys.meta_path)
        spec = next((each for each in found if each is not None), None)
        if spec is None:
            return None
        places = spec.submodule_search_locations or ()
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None

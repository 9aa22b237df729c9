"""The source files of users' objectives, found without importing what trains: it may import torch."""

import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from objectives.contract import Objective
from objectives.documents import version_sha256
from objectives.own_modules import import_own, objectives_in


def own_versions(catalog: Mapping[str, Objective], modules: Sequence[str]) -> dict[str, bytes]:
    """The sha256 of declaration and source of each objective in the `OBJECTIVES` of these modules, by name.

    catalog: what `load_catalog` made of the modules. Raises CatalogProblem.
    """
    versions = {}
    for name in modules:
        for entry in objectives_in(import_own(name)):
            objective = catalog[entry.name]
            places = [name] if objective.module == name else [name, objective.module]
            versions[objective.name] = version_sha256(objective, *map(source_of, places))
    return versions


def source_of(module: str) -> bytes:
    """The bytes of the module's file; b"" where there is none to read, as of a package without one, or of a file that is gone."""
    file = _file_of(module)
    if file is None:
        return b""
    try:
        return file.read_bytes()
    except FileNotFoundError:  # since the module was imported
        return b""


def _file_of(module: str) -> Path | None:
    """`importlib.util.find_spec` would import the packages around it."""
    if (known := getattr(sys.modules.get(module), "__file__", None)) is not None:
        return Path(known)
    places: Sequence[str] | None = None
    spec = None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), places)
        if spec is None:
            return None
        places = spec.submodule_search_locations or ()
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None

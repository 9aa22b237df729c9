"""What a trainer process can train: the built-in objectives, and those of users' modules and scripts, as its worker read them."""

import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import invalidate_caches

from objectives.catalog import Start, add_own, import_start, load_catalog
from objectives.own_modules import CatalogProblem
from objectives.scripts.entry import ScriptFunction
from objectives.scripts.run import Scripts
from objectives.sources import is_unchanged, refuse_changed


class TrainerCatalog:
    """The objectives. A module that has been broken or changed since the worker read it does not affect the others.

    It is tried again whenever its objective is asked for. digests: of the modules' files when the worker read them, by
    `source_digests`. scripts: the functions that train the objectives of users' files, by the objective's name.
    """

    def __init__(self, modules: Sequence[str], digests: Mapping[str, str], scripts: Mapping[str, ScriptFunction]) -> None:
        self._digests = digests
        self._known = load_catalog()
        self._scripts = Scripts(scripts)
        self._broken: dict[str, str] = {}
        """Modules that cannot be used, and why."""
        self._is_new = True
        """Whether nothing was trained yet, so that nothing is garbage."""
        for module in modules:
            self._add(module)

    def import_start(self, name: str) -> Start:
        """Load what trains an objective, and return its `start`. Raises CatalogProblem."""
        if name in self._scripts:
            return self._scripts.import_start(name)
        if name not in self._known:
            invalidate_caches()
            for module in list(self._broken):
                sys.modules.pop(module, None)
                self._add(module)
        if name not in self._known:
            raise CatalogProblem("; ".join(self._broken.values()) or f"no module has the objective {name!r} any more")
        with _no_garbage():
            start = import_start(self._known[name])
        if self._is_new:
            gc.freeze()  # else what torch consists of is looked through again and again in the first run, for half a second
            self._is_new = False
        return start

    def _add(self, module: str) -> None:
        self._broken.pop(module, None)
        catalog = dict(self._known)
        try:
            add_own(catalog, module, checked=is_unchanged(module, self._digests))  # by the worker
            refuse_changed(catalog, module, self._digests)
        except CatalogProblem as problem:
            self._broken[module] = str(problem)
        else:
            self._known = catalog


@contextmanager
def _no_garbage() -> Iterator[None]:
    """While modules are imported nothing is garbage, and to look for it takes a tenth of the time that torch does."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()

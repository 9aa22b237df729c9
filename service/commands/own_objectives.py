"""Users' own objectives, in modules and scripts, checked before a process starts: can jobs be made of what they declare?"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import cast

from pydantic import ValidationError

from objectives.catalog import add_own, load_catalog
from objectives.contract import Direction, Objective
from objectives.declarations import Fault
from objectives.own_modules import CatalogProblem, place_of
from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked, ScriptObjective
from service.api.submission import range_faults, value_faults
from service.domain.request import ObjectiveChoice
from service.domain.space import parse_space
from service.errors import ConfigurationError
from service.settings import Settings


def check(modules: Sequence[str], *, trains: bool) -> None:
    """Raises ConfigurationError when one of the modules cannot be used. trains: or the module that trains is not here."""
    catalog = load_catalog()
    for module in modules:
        known = set(catalog)
        try:
            add_own(catalog, module)
        except CatalogProblem as error:
            raise ConfigurationError(f"STRIDE_OBJECTIVE_MODULES: {error}") from error
        for objective in (catalog[name] for name in catalog if name not in known):
            for fault in (*_faults_of_defaults(objective), *(_faults_of_place(objective) if trains else ())):
                where = place_of(sys.modules[module], fault.name)
                raise ConfigurationError(f"STRIDE_OBJECTIVE_MODULES: {module}: {fault.text}{where}")


def read_scripts(settings: Settings) -> dict[str, ScriptObjective]:
    """The objectives in `settings.objective_files`, by name. Raises ConfigurationError when a file cannot be used."""
    asked = Asked(
        direction=cast(Direction | None, settings.objective_direction),
        learning_rate=settings.objective_learning_rate,
        steps=settings.objective_steps,
    )
    try:
        found = describe_files(settings.objective_files, asked)
    except CatalogProblem as error:
        raise ConfigurationError(str(error)) from error
    check_scripts(found.values(), settings.objective_modules)
    return found


def check_scripts(scripts: Iterable[ScriptObjective], modules: Sequence[str]) -> None:
    """Raises ConfigurationError when no job can be made of a script's objective, or when another has its name."""
    try:
        known = load_catalog(modules)
    except CatalogProblem as error:
        raise ConfigurationError(str(error)) from error
    for script in scripts:
        if (name := script.objective.name) in known:
            raise ConfigurationError(f"{script.function.path}: there is another objective {name!r}: give this one another name")
        for fault in _faults_of_defaults(script.objective):
            raise ConfigurationError(f"{script.function.path}: {fault.text}")


def _faults_of_place(objective: Objective) -> Iterator[Fault]:
    # Of a module in a package the package only is looked for: it would be imported, and may import torch.
    if find_spec(objective.module.partition(".")[0]) is None:
        yield Fault(objective.name, f"{objective.name} names the module {objective.module!r}, which cannot be found")


def _faults_of_defaults(objective: Objective) -> Iterator[Fault]:
    """What of its name, default values and default ranges no job may give."""
    try:
        ObjectiveChoice(name=objective.name)
    except ValidationError as error:
        yield Fault(objective.name, f"the name {objective.name!r} cannot be given in a job: {_first(error)}")
    for parameter in objective.parameters:
        of = f"{objective.name}'s {parameter.name}"
        for fault in value_faults(parameter, parameter.default):
            yield Fault(parameter.name, f"{of} has a default that no job may give: {fault}")
        if parameter.space is None:
            continue
        try:
            dimension = parse_space({parameter.name: parameter.space})[parameter.name]
        except ValidationError as error:
            yield Fault(parameter.name, f"{of} has a space that no job may give: {_first(error)}")
            continue
        for fault in range_faults(parameter, dimension):
            yield Fault(parameter.name, f"{of} has a space that no job may give: {fault}")


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"][2:])  # after the parameter's name and the kind of range
    return f"{where + ': ' if where else ''}{fault['msg'].removeprefix('Value error, ')}"

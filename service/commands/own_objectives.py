"""Users' own objectives, in modules and scripts, checked before a process starts: can jobs be made of what they declare?"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from objectives.catalog import add_own, load_catalog
from objectives.contract import Direction, Objective
from objectives.declarations import Fault
from objectives.installed import described, installed, offered
from objectives.own_modules import CatalogProblem, place_of
from objectives.scripts.catalog import describe_files, describe_installed
from objectives.scripts.command import check_program
from objectives.scripts.command_entry import command_objective
from objectives.scripts.entry import Asked, ScriptObjective
from service.domain.objective import ObjectiveChoice
from service.domain.space import parse_space
from service.errors import ConfigurationError
from service.settings import Settings


def check(modules: Sequence[str], *, trains: bool) -> None:
    """Raises ConfigurationError when one of the modules cannot be used. trains: or the module that trains is not here."""
    catalog = load_catalog()
    for module in modules:
        try:
            _add(catalog, module, trains=trains)
        except CatalogProblem as error:
            raise ConfigurationError(f"STRIDE_OBJECTIVE_MODULES: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What installed packages offer by entry points, as far as it can be used."""

    modules: tuple[str, ...]
    scripts: Mapping[str, ScriptObjective]
    """By the objective's name."""
    problems: tuple[str, ...]
    """What cannot be used, a sentence each."""


def read_installed(
    entries: Sequence[EntryPoint], settings: Settings, files: Mapping[str, ScriptObjective], *, trains: bool
) -> Installed:
    """What installed packages offer by these entry points, beside the settings' modules and the scripts in `files`, both checked.

    trains: functions too, and a module only if what trains it is here. One that cannot be used leaves the others as they are.
    Raises ConfigurationError when a module has an objective of the name of a script: the API would take jobs for the module's.
    """
    catalog = load_catalog(settings.objective_modules)
    of_files = {name: each.objective for name, each in files.items()}
    modules: list[str] = []
    scripts: dict[str, ScriptObjective] = {}
    problems: list[str] = []
    for entry in entries:
        try:
            offer = offered(entry)
            if offer.function is not None:
                if trains:
                    script = describe_installed(offer, _asked(settings))
                    _check_script(script, of_files | catalog)
                    scripts[offer.name] = script
                    catalog[offer.name] = script.objective
            elif offer.module not in (*settings.objective_modules, *modules):
                added = dict(catalog)
                _add(added, offer.module, trains=trains)
                for name in files.keys() & added.keys():
                    place = files[name].function.path
                    raise ConfigurationError(f"{place}: {described(entry)} has an objective {name!r}: give this one another name")
                catalog = added
                modules.append(offer.module)
        except CatalogProblem as problem:
            problems.append(f"{described(entry)}: {problem}")
    return Installed(modules=tuple(modules), scripts=scripts, problems=tuple(problems))


def read_scripts(settings: Settings) -> dict[str, ScriptObjective]:
    """The objectives of the settings' files and command, by name. Raises ConfigurationError when one cannot be used."""
    try:
        found = describe_files(settings.objective_files, _asked(settings))
        if settings.objective_command is not None:
            command = described_command(
                settings.objective_command,
                settings.objective_params,
                settings.objective_metric,
                _asked(settings),
                settings.objective_name,
            )
            _check_script(command, {name: each.objective for name, each in found.items()})
            found[command.objective.name] = command
    except CatalogProblem as error:
        raise ConfigurationError(str(error)) from error
    check_scripts(found.values(), settings.objective_modules)
    return found


def described_command(line: str, params: Sequence[str], metric: str, asked: Asked, name: str | None = None) -> ScriptObjective:
    """The objective of a command, started in the working directory. Raises CatalogProblem."""
    script = command_objective(line, Path.cwd(), params, metric, asked, name)
    check_program(line, Path.cwd())
    return script


def check_to_run(script: ScriptObjective, settings: Settings) -> None:
    """As `check_scripts`, for one that is run at once: of installed packages, too, none may have its name."""
    check_scripts([script], settings.objective_modules)
    read_installed(installed(), settings, {script.objective.name: script}, trains=False)


def check_scripts(scripts: Iterable[ScriptObjective], modules: Sequence[str]) -> None:
    """Raises ConfigurationError when no job can be made of a script's objective, or when another has its name."""
    try:
        known = load_catalog(modules)
    except CatalogProblem as error:
        raise ConfigurationError(str(error)) from error
    for script in scripts:
        try:
            _check_script(script, known)
        except CatalogProblem as error:
            raise ConfigurationError(str(error)) from error


def _asked(settings: Settings) -> Asked:
    return Asked(
        direction=cast(Direction | None, settings.objective_direction),
        learning_rate=settings.objective_learning_rate,
        steps=settings.objective_steps,
        metric=settings.objective_metric,
    )


def _add(catalog: dict[str, Objective], module: str, *, trains: bool) -> None:
    """Add the objectives of a module, of all of which jobs can be made. Raises CatalogProblem."""
    known = set(catalog)
    add_own(catalog, module)
    for objective in (catalog[name] for name in catalog if name not in known):
        for fault in (*_faults_of_defaults(objective), *(_faults_of_place(objective) if trains else ())):
            raise CatalogProblem(f"{module}: {fault.text}{place_of(sys.modules[module], fault.name)}")


def _check_script(script: ScriptObjective, known: Mapping[str, Objective]) -> None:
    """Raises CatalogProblem when no job can be made of the script's objective, or when its name is one of `known`."""
    if (name := script.objective.name) in known:
        raise CatalogProblem(f"{script.function.path}: there is another objective {name!r}: give this one another name")
    for fault in _faults_of_defaults(script.objective):
        raise CatalogProblem(f"{script.function.path}: {fault.text}")


def _faults_of_place(objective: Objective) -> Iterator[Fault]:
    # Of a module in a package the package only is looked for: it would be imported, and may import torch.
    if find_spec(objective.module.partition(".")[0]) is None:
        yield Fault(objective.name, f"{objective.name} names the module {objective.module!r}, which cannot be found")


def _faults_of_defaults(objective: Objective) -> Iterator[Fault]:
    """What of its name, default values and default ranges no job may give."""
    # It takes as long to import as everything else here: what cannot be read at all is said before.
    from service.api.ranges import range_faults, value_faults

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

"""The settings of a command: from the environment, overridden by the options of the command line."""

import os
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.errors import ConfigurationError, DatabaseUnavailable
from service.settings import PREFIX, Settings


def read_settings(**given: Any) -> Settings:
    """The settings from the environment, overridden by those in `given` that are not None.

    A given `data_dir` means the embedded database in that folder, so it overrides STRIDE_DATABASE_URL.
    Raises ConfigurationError.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if "data_dir" in given:
        given["database_url"] = None
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = [
            f"{_name(fault['loc'])}{fault['msg'].removeprefix('Value error, ')}" for fault in error.errors(include_url=False)
        ]
        raise ConfigurationError("; ".join(faults)) from None


def warn_of_unknown() -> None:
    """Say on stderr which variables of the environment look like settings and are none: a misspelt one would be as if not set.

    They are not refused: Kubernetes sets such variables for a service called stride.
    """
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        similar = get_close_matches(name, known, n=1, cutoff=0.8)
        hint = f": is {similar[0]} meant?" if similar else "."
        print(f"Warning: {name} is set, but Stride has no such setting{hint}", file=sys.stderr)


def data_dir(settings: Settings) -> Path:
    """The folder of the embedded database."""
    from service.store.embedded import default_data_dir

    return settings.data_dir or default_data_dir()


def database_url(settings: Settings) -> str:
    """The URL of the database in the settings, or else that of the embedded one that runs in their data folder.

    Raises DatabaseUnavailable when none runs there, and ConfigurationError when the folder cannot be read.
    """
    from service.store.embedded import EmbeddedPostgresError, running_url

    if settings.database_url is not None:
        return settings.database_url
    folder = data_dir(settings)
    try:
        url = running_url(folder)
    except EmbeddedPostgresError as error:
        raise ConfigurationError(str(error)) from error
    if url is None:
        raise DatabaseUnavailable(f"No database runs in {folder}: start `stride up`, or set STRIDE_DATABASE_URL.")
    return url


def check_data_folders(settings: Settings) -> None:
    """Raises ConfigurationError when one of the data folders is missing: trials that need it could not be trained here."""
    from objectives.data import files

    problem = files.find_problem(settings.data_folders)
    if problem is not None:
        raise ConfigurationError(f"STRIDE_DATA_FOLDERS: {problem}. It must be a folder that this user can list.")


def _name(place: tuple[int | str, ...]) -> str:
    return f"{PREFIX}{str(place[0]).upper()}: " if place else ""

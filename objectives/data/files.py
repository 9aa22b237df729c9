"""Where data may come from: files and folders below the folders that the operator allows.

Jobs name files in their settings, and may come from anybody who can reach the API. A file outside the allowed folders is never
read, whether it is named directly, through `..`, or through a symlink.
"""

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from objectives.contract import DataProblem

SETTING = "STRIDE_DATA_FOLDERS"
KEPT = 2
"""Size of each loader's LRU cache of results. Small, since CIFAR-10 takes 740 MB."""

LONGEST_PATH = 4_096
"""In characters: Linux takes no longer one."""

HIDDEN = (".", "__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "Icon\r")
"""How the names begin of what operating systems and network drives put beside data: some are copies of images."""

_folders: tuple[Path, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file with its size and modification time: a loader's cached result is valid until one of them changes."""

    path: Path
    size: int
    """In bytes."""
    modified_ns: int


def flaw_of(path: str) -> str | None:
    """Why a job must not name `path`, wherever its data lie; None when a worker is to judge it.

    An absolute path is for a worker to judge: only there are its folders known.
    """
    if not path.strip():
        return "names no file or folder"
    if len(path) > LONGEST_PATH:
        return f"has {len(path):,} characters: a path may have {LONGEST_PATH:,} at most"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        return "contains a control character or half a surrogate pair: remove it"
    if "\\" in path:
        return "contains a backslash: separate folders by /"
    if ".." in path.split("/"):
        return "contains .., which may lead out of the folders that workers allow: write the path without it"
    if path.split("/")[0] == "~":
        return "begins with ~, which workers do not replace by a folder: write the path below a folder that they allow"
    return None


def allow(folders: Sequence[Path] | None) -> None:
    """Restrict this process to data below `folders`; None, as before the first call: to nothing, as a run from a shell."""
    global _folders
    _folders = None if folders is None else tuple(_resolved(folder) for folder in folders)


def find_problem(folders: Sequence[Path]) -> str | None:
    """The reason why a folder cannot be listed, for the first such folder; None when all can."""
    for folder in folders:
        try:
            with os.scandir(folder):
                pass
        except OSError as error:
            return f"data folder {folder} cannot be read: {(error.strerror or type(error).__name__).lower()}"
    return None


def allowed() -> tuple[Path, ...] | None:
    """The folders that this process is restricted to; None if it is not restricted."""
    return _folders


def find(name: str | None) -> Path:
    """Return the file or folder that a setting names, with symlinks and `..` resolved.

    A relative name is looked up below each allowed folder in order; without a restriction, in the working directory.
    Raises DataProblem when it does not exist or is not allowed.
    """
    if name is None:
        raise DataProblem("path is not set: it must name the file or folder that holds the data.")
    if not name or "\0" in name:
        raise DataProblem(f"{name!r} names no file or folder.")
    bases = (Path(),) if _folders is None else _folders
    paths = [path for path in (_resolved(base / name) for base in bases) if _is_allowed(path)]
    if not paths:
        raise _outside(name)
    for path in paths:
        if os.path.exists(path):
            return path
    below = f"below the allowed folders ({_names_of_folders()})" if _folders is not None else f"as {paths[0]}"
    raise DataProblem(f"{name!r} is not there: it was looked for {below}.")


def data_file(path: Path) -> DataFile:
    """Check a file before it is read. Raises DataProblem when it is not a regular file, or lies outside the allowed folders."""
    if not _is_allowed(_resolved(path)):
        raise _outside(str(path))
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, "a file", error) from error
    if not stat.S_ISREG(status.st_mode):
        raise DataProblem(f"{path} is not a file.")
    return DataFile(path=path, size=status.st_size, modified_ns=status.st_mtime_ns)


def entries(folder: Path) -> list[Path]:
    """The entries of a folder, sorted by name, without hidden ones. Raises DataProblem when it cannot be listed."""
    return [entry for entry in _everything(folder) if not entry.name.startswith(HIDDEN)]


def hidden(folder: Path) -> list[Path]:
    """The hidden entries of a folder: no data, but files of the operating system. Raises DataProblem as `entries` does."""
    return [entry for entry in _everything(folder) if entry.name.startswith(HIDDEN)]


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files in a folder and in the folders in it, and the hidden entries, each sorted by path.

    Raises DataProblem when one of the folders cannot be listed, or contains itself by a symlink.
    """
    return _files_below(folder, (_resolved(folder),))


def _files_below(folder: Path, above: tuple[Path, ...]) -> tuple[list[Path], list[Path]]:
    found, unseen = [], hidden(folder)
    for entry in entries(folder):
        if not entry.is_dir():
            found.append(entry)
            continue
        inside = _resolved(entry)
        if inside in above:
            raise DataProblem(f"{entry} is a symlink to a folder that contains it.")
        further = _files_below(entry, (*above, inside))
        found += further[0]
        unseen += further[1]
    return found, unseen


def _everything(folder: Path) -> list[Path]:
    if not _is_allowed(_resolved(folder)):
        raise _outside(str(folder))
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, "a folder", error) from error


def unreadable(name: object, what: str, error: Exception) -> DataProblem:
    """The DataProblem that `name` cannot be read as `what`, with the first line of what the error says."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    reason = text.strip().partition("\n")[0].rstrip(".:") or type(error).__name__
    return DataProblem(f"{name} cannot be read as {what} ({reason}).")


@contextmanager
def needs(package: str, name: object) -> Iterator[None]:
    """Around the import of an optional package: raises DataProblem, which says what is needed to read `name`."""
    try:
        yield
    except ImportError as error:
        raise DataProblem(f"{name} needs {package} to be read: install it, or Stride with its extra data.") from error


def _outside(name: str) -> DataProblem:
    return DataProblem(
        f"{name!r} is refused, because it lies outside the allowed folders ({_names_of_folders()}).", for_every_trial=True
    )


def _names_of_folders() -> str:
    return f"{SETTING}: {', '.join(map(str, _folders or ())) or 'none'}"


def _is_allowed(path: Path) -> bool:
    return _folders is None or any(path.is_relative_to(folder) for folder in _folders)


def _resolved(path: Path) -> Path:
    # Unlike Path.resolve, this does not raise on symlink loops; the result then does not exist.
    return Path(os.path.realpath(path))

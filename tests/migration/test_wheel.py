"""The wheel carries its migrations: installed somewhere else, it migrates from any folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import migrate
from service.store.postgres import Database

CHECKOUT = Path(__file__).parents[2]

MIGRATE = """
import sys
import migrations, objectives, service
from service.store import migrate
from service.store.postgres import Database
for package in (migrations, objectives, service):
    print(package.__file__)
database = Database(sys.argv[1])
migrate.upgrade(database)
with database.transaction() as conn:
    migrate.check(conn)
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel, built from a copy of the checkout, was installed. Needs no network."""
    source, wheels, folder = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "some where"))
    for name in ("pyproject.toml", "README.md"):
        if (CHECKOUT / name).exists():
            shutil.copy(CHECKOUT / name, source)
    for name in ("service", "objectives", "migrations"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    offline = ("--no-index", "--no-deps")
    run(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", wheels, source, cwd=wheels)
    [wheel] = wheels.glob("stride-*.whl")
    run(*pip, "install", *offline, "--target", folder, wheel, cwd=wheels)
    return folder


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.close()


def test_an_installed_wheel_migrates_from_any_folder(
    installed: Path, empty: Database, empty_database_url: str, tmp_path: Path
) -> None:
    said = run(sys.executable, "-c", MIGRATE, empty_database_url, cwd=tmp_path, PYTHONPATH=str(installed))
    found = [Path(line) for line in said.splitlines() if line.endswith("__init__.py")]
    assert found == [installed / name / "__init__.py" for name in ("migrations", "objectives", "service")]
    with empty.transaction() as conn:
        migrate.check(conn)


def test_the_wheel_carries_every_file_that_the_code_reads(installed: Path) -> None:
    def files(root: Path) -> set[str]:
        packages = (root / name for name in ("service", "objectives", "migrations"))
        return {
            str(path.relative_to(root))
            for package in packages
            for path in package.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }

    # The template of new migrations is of use in a checkout only.
    assert files(CHECKOUT) - files(installed) <= {"migrations/script.py.mako"}
    assert not (installed / "tests").exists()

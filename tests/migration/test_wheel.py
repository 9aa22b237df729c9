"""The wheel carries its migrations: installed somewhere else, it migrates from any folder."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store import revision
from service.store.postgres import Database

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("service", "objectives", "migrations", "stride")

MIGRATE = """
import sys
import migrations, objectives, service, stride
from service.store import migrate, revision
from service.store.postgres import Database
for package in (migrations, objectives, service, stride):
    print(package.__file__)
database = Database(sys.argv[1])
migrate.upgrade(database)
with database.transaction() as conn:
    revision.check(conn)
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
    for name in PACKAGES:
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    offline = ("--no-index", "--no-deps")
    run(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", wheels, source, cwd=wheels)
    [wheel] = wheels.glob("stride_lr-*.whl")
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
    assert found == [installed / name / "__init__.py" for name in sorted(PACKAGES)]
    with empty.transaction() as conn:
        revision.check(conn)


def test_the_wheel_carries_every_file_that_the_code_reads(installed: Path) -> None:
    def files(root: Path) -> set[str]:
        packages = (root / name for name in PACKAGES)
        return {
            str(path.relative_to(root))
            for package in packages
            for path in package.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }

    # The template of new migrations is of use in a checkout only.
    assert files(CHECKOUT) - files(installed) <= {"migrations/script.py.mako"}
    assert not (installed / "tests").exists()


SCRIPT = """
import stride
import service

@stride.objective(space={"learning_rate": {"type": "float", "low": 0.1, "high": 1.0}})
def train(trial):
    trial.report(validation_loss=service.LOSS)
"""
TRAIN = """
import sys
from objectives.scripts.catalog import describe_files
from objectives.scripts.entry import Asked
from objectives.scripts.run import Scripts
from service.version import VERSION
found = describe_files([sys.argv[1]], Asked())
scripts = Scripts({name: each.function for name, each in found.items()})
[step] = scripts.import_start("train")({"learning_rate": 0.5}, {}, 7, "cpu", 1)
scripts.drop()
print(VERSION, step.metrics)
"""


def test_an_installed_wheel_trains_a_script_beside_which_a_module_is_called_service(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "service.py").write_text("LOSS = 0.5\n")
    (tmp_path / "elsewhere").mkdir()
    script = str(tmp_path / "train.py")
    said = run(sys.executable, "-c", TRAIN, script, cwd=tmp_path / "elsewhere", PYTHONPATH=str(installed))
    [version] = [folder.name.split("-")[1] for folder in installed.glob("stride_lr-*.dist-info")]
    assert said.split("\n")[-2] == f"{version.removesuffix('.dist')} {{'validation_loss': 0.5}}"

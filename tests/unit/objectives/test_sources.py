"""Versions of users' modules are told by their source, which is read without importing what trains."""

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from objectives.catalog import load_catalog
from objectives.own_modules import CatalogProblem
from objectives.sources import own_versions, refuse_changed, source_digests, source_of

DECLARES = """
from objectives.contract import Metric, Objective, Parameter

OBJECTIVES = (
    Objective(
        name="{name}",
        description="",
        module="{module}",
        metrics=(Metric(name="loss", direction="minimize", description=""),),
        parameters=(Parameter(name="lr", role="learning_rate", type="float", default=0.1, description=""),),
    ),
)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def version(folder: Path, declares: str, trains: str) -> str:
    """Of an objective that the module `declares` declares and `trains.fast` trains."""
    (folder / "declares.py").write_text(dedent(declares))
    (folder / "trains").mkdir(exist_ok=True)
    (folder / "trains" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "trains" / "fast.py").write_text(trains)
    sys.modules.pop("declares", None)
    catalog = load_catalog(["declares"])
    [(name, sha256)] = own_versions(catalog, ["declares"]).items()
    assert name == "mine"
    return sha256.hex()


def test_a_version_follows_from_the_files_that_declare_and_that_train(folder: Path) -> None:
    text = DECLARES.format(name="mine", module="trains.fast")
    first = version(folder, text, "1")
    assert version(folder, text, "1") == first
    assert version(folder, text, "2") != first
    assert version(folder, text + "# changed", "1") != first
    assert version(folder, text, "1") == first
    assert "trains" not in sys.modules


def test_a_module_without_a_file_has_no_source(folder: Path) -> None:
    (folder / "space").mkdir()
    assert [source_of(name) for name in ("sys", "space", "space.none", "nowhere.none")] == [b""] * 4
    (folder / "space" / "one.py").write_bytes(b"one")
    assert source_of("space.one") == b"one"


def test_a_changed_file_is_refused_by_its_name_and_one_that_could_not_be_read_never(folder: Path) -> None:
    version(folder, DECLARES.format(name="mine", module="trains.fast"), "1")
    catalog = load_catalog(["declares"])
    digests = source_digests(catalog, ["declares"])
    assert digests.keys() == {"declares", "trains.fast"}
    refuse_changed(catalog, "declares", digests)
    (folder / "trains" / "fast.py").write_text("2")
    with pytest.raises(CatalogProblem) as refusal:
        refuse_changed(catalog, "declares", digests)
    file = folder / "trains" / "fast.py"
    assert str(refusal.value) == f"trains.fast has changed since this worker was started, so start it again ({file})"
    file.unlink()
    assert source_digests(catalog, ["declares"]).keys() == {"declares"}
    refuse_changed(catalog, "declares", source_digests(catalog, ["declares"]))

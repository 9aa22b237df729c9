import os
import re
from pathlib import Path

import pytest

from objectives.contract import DataProblem
from objectives.data import files
from objectives.data.csv_table import csv_table
from objectives.data.image_folder import image_folder


@pytest.fixture(autouse=True)
def unrestricted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_folders", None)


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """An allowed folder with one file; beside it lies a secret, and another folder whose name begins in the same way."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "table.csv").write_text("a,b\n")
    (tmp_path / "secret.csv").write_text("a,b\n1,x\n")
    (tmp_path / "data2").mkdir()
    (tmp_path / "data2" / "table.csv").write_text("a,b\n")
    return folder


def refusal(name: str) -> str:
    with pytest.raises(DataProblem) as caught:
        files.find(name)
    return str(caught.value)


def test_before_folders_are_allowed_any_file_is_found(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inside)
    assert files.find("sub/table.csv") == inside / "sub" / "table.csv"
    assert files.find("../secret.csv") == inside.parent / "secret.csv"
    assert files.find(str(inside)) == inside
    assert refusal("table.csv") == f"'table.csv' is not there: it was looked for as {inside / 'table.csv'}."


def test_files_and_folders_below_an_allowed_folder_are_found(inside: Path) -> None:
    files.allow([inside])
    for name in ("sub/table.csv", str(inside / "sub" / "table.csv"), "sub/../sub/table.csv"):
        assert files.find(name) == inside / "sub" / "table.csv"
    assert files.find("sub") == inside / "sub"
    assert files.find(str(inside)) == inside


def test_a_relative_name_is_looked_up_below_each_folder_in_order(inside: Path) -> None:
    files.allow([inside, inside.parent / "data2", inside / "sub"])
    assert files.find("table.csv") == inside.parent / "data2" / "table.csv"


@pytest.mark.parametrize(
    "name", ["../secret.csv", "sub/../../secret.csv", "{}/secret.csv", "{}/data/../secret.csv", "{}/data2/table.csv", "/"]
)
def test_what_lies_outside_is_refused_whether_or_not_it_is_there(inside: Path, name: str) -> None:
    files.allow([inside])
    for there in (name, f"{name}.nothing"):
        path = there.format(inside.parent)
        assert refusal(path) == (
            f"{path!r} is refused, because it lies outside the allowed folders (STRIDE_DATA_FOLDERS: {inside})."
        )


def test_a_symlink_does_not_lead_out(inside: Path) -> None:
    (inside / "link.csv").symlink_to(inside.parent / "secret.csv")
    (inside / "up").symlink_to("..")
    (inside / "round").symlink_to("round")
    (inside / "within.csv").symlink_to("sub/table.csv")
    files.allow([inside])
    assert "lies outside the allowed folders" in refusal("link.csv")
    assert "lies outside the allowed folders" in refusal("up/secret.csv")
    assert "is not there" in refusal("round")
    assert files.find("within.csv") == inside / "sub" / "table.csv"


def test_an_allowed_folder_may_itself_be_a_symlink(inside: Path) -> None:
    (inside.parent / "link").symlink_to(inside)
    files.allow([inside.parent / "link"])
    assert files.find("sub/table.csv") == inside / "sub" / "table.csv"


def test_a_symlink_among_the_files_of_a_data_set_does_not_lead_out(inside: Path) -> None:
    (inside / "images" / "cat").mkdir(parents=True)
    (inside / "images" / "dog").symlink_to(inside.parent / "data2")
    (inside / "images" / "cat" / "1.png").symlink_to(inside.parent / "secret.csv")
    (inside / "link.csv").symlink_to(inside.parent / "secret.csv")
    files.allow([inside])
    outside = "lies outside the allowed folders"
    with pytest.raises(DataProblem, match=outside):
        csv_table(inside / "link.csv")
    with pytest.raises(DataProblem, match=f"cat/1.png.*{outside}"):
        image_folder(inside / "images")
    (inside / "images" / "cat" / "1.png").unlink()
    with pytest.raises(DataProblem, match=f"dog.*{outside}"):
        files.entries(inside / "images" / "dog")


def test_a_refusal_names_the_folders_that_are_allowed(inside: Path) -> None:
    files.allow([inside, inside.parent / "data2"])
    folders = f"STRIDE_DATA_FOLDERS: {inside}, {inside.parent / 'data2'}"
    assert refusal("/etc") == f"'/etc' is refused, because it lies outside the allowed folders ({folders})."
    assert refusal("x.csv") == f"'x.csv' is not there: it was looked for below the allowed folders ({folders})."


def test_where_no_folder_is_allowed_nothing_is_found(inside: Path) -> None:
    files.allow([])
    sentence = "is refused, because it lies outside the allowed folders (STRIDE_DATA_FOLDERS: none)."
    for name in (str(inside), "sub"):
        assert refusal(name) == f"{name!r} {sentence}"


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_can_name_nothing_is_refused(inside: Path, name: str) -> None:
    files.allow([inside])
    assert refusal(name) == f"{name!r} names no file or folder."


def test_a_name_that_is_too_long_is_not_there(inside: Path) -> None:
    files.allow([inside])
    assert "is not there" in refusal("x" * 5000)


def test_a_file_of_the_same_size_written_later_is_another(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n")
    os.utime(path, ns=(0, 1_000_000_000))
    before = files.data_file(path)
    assert files.data_file(path) == before
    os.utime(path, ns=(0, 1_000_000_001))
    assert files.data_file(path) != before


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(DataProblem, match=f"^{re.escape(str(path))} is not a file\\.$"):
            files.data_file(path)
    with pytest.raises(DataProblem, match=r"none cannot be read as a file \(No such file or directory\)\.$"):
        files.data_file(tmp_path / "none")


def test_hidden_entries_of_a_folder_are_left_out(tmp_path: Path) -> None:
    for name in ("b", "a", ".DS_Store", "__MACOSX"):
        (tmp_path / name).touch()
    assert [entry.name for entry in files.entries(tmp_path)] == ["a", "b"]
    with pytest.raises(DataProblem, match=r"a cannot be read as a folder \(Not a directory\)\.$"):
        files.entries(tmp_path / "a")

"""Settings that are lists."""

from pathlib import Path

import pytest

from service.settings import Settings


def test_folders_of_data_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIDE_DATA_FOLDERS", "/data/one, /data/two words,")
    assert Settings().data_folders == (Path("/data/one"), Path("/data/two words"))


@pytest.mark.parametrize("nothing", [None, "", " , "])
def test_without_folders_of_data_there_are_none(monkeypatch: pytest.MonkeyPatch, nothing: str | None) -> None:
    monkeypatch.delenv("STRIDE_DATA_FOLDERS", raising=False)
    if nothing is not None:
        monkeypatch.setenv("STRIDE_DATA_FOLDERS", nothing)
    assert Settings().data_folders == ()

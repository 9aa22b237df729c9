"""Settings that are lists, or empty."""

import re
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


def test_hosts_are_names_or_addresses_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIDE_ALLOWED_HOSTS", "api,*.example.org, 10.0.0.1 ,[::2],*,")
    assert Settings().allowed_hosts == ("api", "*.example.org", "10.0.0.1", "[::2]", "*")


@pytest.mark.parametrize("host", ["api:8000", "http://api", "api/", "*example.org", "a b"])
def test_a_host_with_more_than_its_name_is_refused(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("STRIDE_ALLOWED_HOSTS", host)
    with pytest.raises(ValueError, match=f"{re.escape(repr(host))} should be a host name or address alone"):
        Settings()


def test_an_empty_setting_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STRIDE_{name.upper()}", raising=False)
    expected = Settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"STRIDE_{name.upper()}", "")
    assert Settings() == expected

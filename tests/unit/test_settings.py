"""Settings that are lists, or empty."""

import os
import re
from pathlib import Path

import pytest

from service.commands.configuration import warn_of_unknown
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
    with pytest.raises(ValueError, match=f"STRIDE_ALLOWED_HOSTS: {re.escape(repr(host))} should be a host name or address alone"):
        Settings()


def test_an_empty_setting_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"STRIDE_{name.upper()}", raising=False)
    expected = Settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"STRIDE_{name.upper()}", "")
    assert Settings() == expected


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"LEASE_S": "20"}, r"STRIDE_HEARTBEAT_S \(10\) must be at most a third of STRIDE_LEASE_S \(20\)"),
        ({"DATABASE_TIMEOUT_S": "30"}, r"STRIDE_DATABASE_TIMEOUT_S \(30\) must be less than STRIDE_LEASE_S \(30\)"),
    ],
)
def test_settings_that_contradict_each_other_are_named_as_they_are_set(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"STRIDE_{name}", value)
    with pytest.raises(ValueError, match=said):
        Settings()


def test_a_misspelt_setting_is_named_with_the_one_that_is_like_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("STRIDE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STRIDE_LEASE_S", "40")
    warn_of_unknown()
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("STRIDE_OBJECTIVE_MODULE", "mine")
    monkeypatch.setenv("STRIDE_SERVICE_HOST", "10.0.0.1")  # as in Kubernetes
    warn_of_unknown()
    assert capsys.readouterr().err.splitlines() == [
        "Warning: STRIDE_OBJECTIVE_MODULE is set, but Stride has no such setting: is STRIDE_OBJECTIVE_MODULES meant?",
        "Warning: STRIDE_SERVICE_HOST is set, but Stride has no such setting.",
    ]

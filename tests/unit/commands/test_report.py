"""A report is written whole or not at all."""

from pathlib import Path

import httpx2
import pytest

from service.commands import report
from service.commands.api_client import Refused
from service.errors import ConfigurationError

JOB = "8d8a199b-1d62-4654-a5f0-e5312a20323e"
PAGE = "<!doctype html><title>für alle</title>"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[httpx2.Response]:
    """The next response of the service."""
    responses = [httpx2.Response(200, html=PAGE)]
    monkeypatch.setattr(httpx2.Client, "request", lambda *_, **__: responses.pop())
    return responses


def write(output: str | None) -> None:
    report.report("http://127.0.0.1:8000", JOB, output)


@pytest.mark.usefixtures("served")
def test_it_is_named_by_its_job_and_its_place_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(None)
    assert [file.name for file in tmp_path.iterdir()] == ["stride-8d8a199b.html"]
    assert (tmp_path / "stride-8d8a199b.html").read_text(encoding="utf-8") == PAGE
    assert str(tmp_path / "stride-8d8a199b.html") in capsys.readouterr().out


@pytest.mark.usefixtures("served")
def test_it_replaces_a_file_and_goes_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "old.html").write_text("old")
    (tmp_path / "link.html").symlink_to("old.html")
    write(str(tmp_path / "link.html"))
    assert (tmp_path / "old.html").read_text(encoding="utf-8") == PAGE
    assert (tmp_path / "link.html").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.usefixtures("served")
def test_a_file_keeps_its_content_where_the_new_one_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.html").write_text("old")

    def full(self: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ConfigurationError, match=r"old\.html cannot be written: no space left on device\."):
        write(str(tmp_path / "old.html"))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("place", "why"), [(".", "is a directory"), ("none/report.html", "no such file or directory")])
def test_where_no_file_can_be_the_reason_is_told(tmp_path: Path, place: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"cannot be written: {why}"):
        write(str(tmp_path / place))


@pytest.mark.usefixtures("served")
def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    write("/dev/null")
    assert Path("/dev/null").is_char_device()


@pytest.mark.usefixtures("served")
def test_standard_output_gets_the_report_and_nothing_else(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write("-")
    assert capsysbinary.readouterr().out == PAGE.encode()


def test_what_is_refused_leaves_no_file(tmp_path: Path, served: list[httpx2.Response]) -> None:
    served[:] = [httpx2.Response(404, json={"title": "There is no such job", "status": 404})]
    with pytest.raises(Refused, match="There is no such job"):
        write(str(tmp_path / "report.html"))
    assert list(tmp_path.iterdir()) == []

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.commands.tables import console
from service.commands.workers import workers_table

WORKER: dict[str, Any] = {
    **{"id": "8d8a199b-1d62-4654-a5f0-e5312a20323e", "name": "host:1\x1b", "state": "training", "device": "cuda:0"},
    **{"objectives": ["a", "b"], "set_aside": {}, "version": "0.1.0", "started_at": "2026-11-22T10:00:00Z", "open_leases": 1},
    "seen_at": (datetime.now(UTC) - timedelta(hours=2.5)).isoformat(),
}


def said(capsys: pytest.CaptureFixture[str], *workers: Any, cursor: str | None = None) -> str:
    console().print(workers_table({"items": list(workers), "next_cursor": cursor}))
    return capsys.readouterr().out


def test_a_worker_is_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    row = said(capsys, WORKER).splitlines()[3]
    assert row.split() == ["host:1?", "training", "1", "cuda:0", "0.1.0", "2", "h", "ago", "a,", "b"]


def test_what_a_worker_has_set_aside_is_told_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, WORKER | {"set_aside": {"c": "no module named torch"}}, cursor="x").rstrip().splitlines()
    assert shown[-2:] == ["host:1? has set c aside: no module named torch", "There are more: --limit shows up to 100."]


def test_no_workers_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys) == "There are no workers yet: stride up, or stride worker\n"

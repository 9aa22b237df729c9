from typing import Any

import pytest

from service.commands.comparison_tables import comparison
from service.commands.tables import console
from service.domain.comparison import ComparisonView

BEST = {
    "job": "8d8a199b-1d62-4654-a5f0-e5312a20323e",
    "name": "first",
    "recipe": {"optimizer": "adam"},
    "learning_rate": {"mean": 0.001234, "low": 0.001, "high": 0.002},
    "expected": {"mean": 0.1, "low": 0.09, "high": 0.11},
    "difference": None,
    "sensitivity": {"excess": {"mean": 0.05, "low": 0.04, "high": 0.06}, "low": 0.0004, "high": 0.004, "diverging": 0.0},
    "verdict": "best",
    **{"state": "completed", "label": "first", "because": "is best", "trials": 20, "seeds": 20, "at_edge": None},
    **{"best_point": None, "front": []},
}
NOT_JUDGED = BEST | {
    "job": "9d8a199b-1d62-4654-a5f0-e5312a20323e",
    "recipe": {},
    "learning_rate": None,
    "expected": None,
    "sensitivity": None,
}
FOUND: dict[str, Any] = {
    **{"metric": "loss", "because": "It is.", "jobs": [BEST, NOT_JUDGED], "at_shared_rate": None},
    **{"direction": "minimize", "level": 0.9, "best": BEST["job"], "most_robust": BEST["job"], "target": 0.11},
}


def said(capsys: pytest.CaptureFixture[str], found: Any) -> list[list[str]]:
    """The cells of each line."""
    console().print(comparison(ComparisonView.model_validate(found)))
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in capsys.readouterr().out.splitlines()]


def test_each_job_has_its_numbers_and_below_them_their_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, FOUND)
    at = lines.index(["8d8a199b", "optimizer=adam", "0.00123", "0.1", "-", "0.05", "best"])
    assert lines[at + 1] == ["0.001 to 0.002", "0.09 to 0.11", "0.04 to 0.06"]
    assert ["9d8a199b", "first", "-", "-", "-", "-", "best"] in lines
    assert lines[-1] == ["It is."]


def test_a_shared_rate_adds_a_column_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [{"job": BEST["job"], "expected": {"mean": 2.0, "low": 1.0, "high": 3.0}, "because": None}]
    shared = {"winner": BEST["job"], "agrees": True, "learning_rate": 0.01, "jobs": jobs, "because": "at one rate it is not"}
    lines = said(capsys, FOUND | {"at_shared_rate": shared})
    assert [line[-1] for line in lines if line[:1] in (["8d8a199b"], ["9d8a199b"])] == ["2", "-"]
    assert lines[-1] == ["At one rate it is not."]


def test_it_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    narrow = console()
    narrow.width = 100
    narrow.print(comparison(ComparisonView.model_validate(FOUND)))
    assert "0.001 to 0.002" in capsys.readouterr().out

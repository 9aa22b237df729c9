from typing import Any

import pytest
from rich.console import RenderableType

from service.commands.tables import console
from service.commands.trials import trial_details, trials_table

JOB = {
    "id": "8d8a199b-1d62-4654-a5f0-e5312a20323e",
    "spec": {
        "search_space": {
            "epochs": 4,
            "batch_size": {"type": "categorical", "choices": [16, 32]},
            "rate": {"type": "float", "low": 0.1, "high": 1.0},
        },
        "metric": "loss",
    },
    "roles": {"learning_rate": "rate"},
    "step_word": "epoch",
}
ATTEMPT = {
    **{"attempt": 1, "worker": "host:1", "started_at": "2026-11-22T10:00:00Z", "ended_at": None},
    **{"outcome": None, "reason": None, "from_step": None},
}
TRIAL: dict[str, Any] = {
    **{"number": 7, "state": "complete", "value": 0.123456, "params": {"rate": 0.5, "batch_size": 16, "epochs": 4}},
    **{"last_step": 4, "diverged_at_step": None, "user_attrs": {}, "error": None},
    **{"started_at": "2026-11-22T10:00:00Z", "finished_at": None, "attempts": [ATTEMPT]},
}
ERROR = {"type": "ValueError", "message": "no such\nfile \x1b[31m", "traceback": "line 1\nline 2\n"}


def lines(capsys: pytest.CaptureFixture[str], shown: RenderableType) -> list[list[str]]:
    """The cells of each line that is not empty."""
    console().print(shown)
    out = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in capsys.readouterr().out.splitlines()]
    return [line for line in out if line]


def test_a_row_has_the_rate_and_what_is_searched_and_nothing_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    heading, _, row = lines(capsys, trials_table([TRIAL], JOB))
    assert heading == ["trial", "state", "loss", "rate", "batch_size", "epochs done", "note"]
    assert row == ["7", "complete", "0.1235", "0.5", "16", "4"]


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"state": "failed", "error": ERROR}, "ValueError: no such file ?[31m"),
        ({"state": "failed", "error": ERROR | {"message": "x" * 300}}, "ValueError: " + "x" * 185 + "..."),
        ({"state": "infeasible", "user_attrs": {"divergence": "loss became inf at update 3"}}, "loss became inf at update 3"),
        ({"state": "infeasible", "diverged_at_step": 2}, "diverged at epoch 2"),
        ({"state": "pruned", "user_attrs": {"stopped_by": "the job was cancelled"}}, "stopped: the job was cancelled"),
        ({"state": "running", "attempts": [ATTEMPT, ATTEMPT]}, "attempt 2"),
        ({"user_attrs": {"phase": "confirm"}}, "trains one of the best points again"),
    ],
)
def test_a_row_says_why_a_trial_failed_or_ended_early(
    capsys: pytest.CaptureFixture[str], fields: dict[str, Any], note: str
) -> None:
    wide = console()
    wide.width = 400
    wide.print(trials_table([TRIAL | fields], JOB))
    assert capsys.readouterr().out.splitlines()[3].rstrip().endswith("  " + note)


def test_a_job_without_trials_has_none_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(capsys, trials_table([], JOB)) == [["The job has no trials yet."]]


def test_a_trial_is_shown_with_its_attempts_and_its_whole_error(capsys: pytest.CaptureFixture[str]) -> None:
    taken_over = ATTEMPT | {"outcome": "trainer_died", "reason": "it was killed"}
    second = ATTEMPT | {"attempt": 2, "from_step": 3}
    fields = {"state": "failed", "error": ERROR, "attempts": [taken_over, second], "user_attrs": {"guessing": {"loss": 1.5}}}
    shown = lines(capsys, trial_details(TRIAL | fields, JOB))
    assert ["trial", "7 of job 8d8a199b-1d62-4654-a5f0-e5312a20323e"] in shown
    at = shown.index(["parameters", "batch_size: 16"])
    assert shown[at + 1 : at + 3] == [["rate: 0.5"], ["fixed", "epochs=4"]]
    at = shown.index(["attempts", "1: host:1, 2026-11-22 10:00:00 UTC, trainer died, it was killed"])
    assert shown[at + 1] == ["2: host:1, 2026-11-22 10:00:00 UTC, continued after step 3"]
    assert ["attributes", 'guessing: {"loss": 1.5}'] in shown
    assert shown[-4:] == [["error", "ValueError: no such"], ["file ?[31m"], ["line 1"], ["line 2"]]

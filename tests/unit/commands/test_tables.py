from datetime import UTC, datetime, timedelta

import pytest
from rich.console import RenderableType

from service.analysis.words.age import age
from service.analysis.words.numbers import number
from service.commands.answers import in_words
from service.commands.tables import console, dimension, job_details, jobs_table, objectives_table, plain, plan_table
from service.domain.answer import Answer
from tests.unit.commands.answers import LITTLE_KNOWN


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"type": "float", "low": 1e-5, "high": 1.0, "log": True, "step": None, "points": 9}, "1e-05 to 1 (log, points 9)"),
        ({"type": "int", "low": 2, "high": 20, "log": False, "step": 1, "points": None}, "2 to 20"),
        ({"type": "int", "low": 2, "high": 20, "log": False, "step": 6, "points": None}, "2 to 20 (step 6)"),
        ({"type": "categorical", "choices": [16, "adam", 0.123456]}, "16 | adam | 0.1235"),
        (0.9, "0.9"),
    ],
)
def test_a_dimension_is_told_shortly(wanted: object, told: str) -> None:
    assert dimension(wanted) == told


def test_an_objective_that_no_worker_offers_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {
        "name": "mine",
        "description": "A user's own.",
        **{"metrics": [{"name": "loss", "direction": "minimize"}], "parameters": [], "search_space": {}, "settings_schema": {}},
    }
    for is_offered in (True, False):
        console().print(objectives_table([shown | {"offered": is_offered}]))
        assert ("No worker offers it now." in capsys.readouterr().out) == (not is_offered)


def test_what_would_steer_the_terminal_is_taken_out_of_anybodys_text() -> None:
    assert plain("a\x1b[31mred\x07\u202e [bold]name\nnext").plain == "a?[31mred?? [bold]name\nnext"


def test_a_missing_number_is_a_dash() -> None:
    assert (number(None), number(0.1234567), number(3)) == ("-", "0.1235", "3")


@pytest.mark.parametrize(("seconds", "told"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7_300, "2 h"), (200_000, "2 d")])
def test_an_age_is_told_to_the_unit_that_matters(seconds: int, told: str) -> None:
    assert age(datetime.now(UTC) - timedelta(seconds=seconds)) == told


SPEC = {
    "objective": {"name": "image-classification", "settings": {}},
    "search_space": {"learning_rate": 0.01, "epochs": 4, "batch_size": {"type": "categorical", "choices": [16, 32]}},
    "strategy": {"type": "random"},
    "pruner": {"type": "none"},
    "budget": {"trials": 1, "confirm": 0},
    "metric": "loss",
}
ROLES = {"learning_rate": "learning_rate"}
BEST = {"number": 3, "value": 0.5, "params": {"batch_size": 16, "epochs": 4, "learning_rate": 0.01}}
CHOSEN = "batch_size=16 learning_rate=0.01"
JOB = {
    **{
        "id": "8d8a199b",
        "name": None,
        "state": "completed",
        "reason": None,
        "phase": "search",
        "budget": {"trials": 4, "seconds": None, "confirm": 0, "target": None, "failures": 5},
        "waiting_for": None,
        "spec": SPEC,
        "roles": ROLES,
        "best": BEST,
    },
    "progress": {"trials": dict.fromkeys(("planned", "waiting", "running", "complete", "infeasible", "pruned", "failed"), 0)},
    **{"created_at": "2026-01-01T00:00:00Z", "started_at": None, "finished_at": None, "study_name": "a"},
}
PLAN = {"spec": SPEC, "roles": ROLES, "step_word": "epoch", "trials": 1, "epochs": None, "first_points": [BEST["params"]]}


def answer(**fields: object) -> RenderableType:
    return in_words(Answer.model_validate(LITTLE_KNOWN | {"learning_rate": 0.01} | fields), JOB, console())


@pytest.mark.parametrize("table", [job_details(JOB), answer(best_trial=BEST), plan_table(PLAN)], ids=["job", "answer", "plan"])
def test_of_a_trials_parameters_the_learning_rate_and_those_that_are_searched_are_told(
    capsys: pytest.CaptureFixture[str], table: RenderableType
) -> None:
    console().print(table)
    said = capsys.readouterr().out
    [told] = [line for line in said.splitlines() if CHOSEN in line]
    assert "epochs=4" not in told


@pytest.mark.parametrize("table", [job_details(JOB), plan_table(PLAN)], ids=["job", "plan"])
def test_what_is_searched_has_a_line_each_and_what_is_fixed_one_for_all(
    capsys: pytest.CaptureFixture[str], table: RenderableType
) -> None:
    console().print(table)
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    at = told.index(["search", "space", "batch_size:", "16", "|", "32"])
    assert told[at + 1] == ["fixed", "epochs=4", "learning_rate=0.01"]


def test_the_last_failure_is_told_with_its_reason_and_where_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    console().print(job_details(JOB | {"last_failure": {"number": 3, "type": "ValueError", "message": "no such\x1b file"}}))
    lines = [line.split("  ")[-1].strip() or line for line in (row.rstrip() for row in capsys.readouterr().out.splitlines())]
    at = lines.index("ValueError: no such? file")
    assert lines[at + 1] == "(in trial 3; with its traceback: stride trial 8d8a199b 3)"
    console().print(job_details(JOB))
    assert "last failure" not in capsys.readouterr().out


@pytest.mark.parametrize("table", [job_details(JOB | {"best": None}), answer()])
def test_where_there_is_no_best_trial_nothing_is_said_of_it(capsys: pytest.CaptureFixture[str], table: RenderableType) -> None:
    console().print(table)
    assert "in trial" not in capsys.readouterr().out


def test_a_narrow_terminal_folds_names_and_shortens_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    job = {
        "id": "8d8a199b-1d62-4654-a5f0-e5312a20323e",
        "name": "a name that is much longer than the room there is for it",
        "state": "completed",
        "spec": {"objective": {"name": "image-classification"}, "strategy": {"type": "bayesian"}},
        "roles": ROLES,
        "best": {"value": 0.123456, "params": {"learning_rate": 0.00123456}},
        "progress": {"trials": {"planned": 64, "complete": 60, "infeasible": 2, "pruned": 1, "failed": 1}},
        "created_at": datetime.now(UTC).isoformat(),
    }
    narrow = console()
    narrow.width = 80
    narrow.print(jobs_table([job]))
    lines = capsys.readouterr().out.splitlines()
    assert "best trial" in lines[1], "the rate beside it is that trial's, which need not be the answer"
    assert "its lr" in lines[1]
    [row] = [line for line in lines if "8d8a199b" in line]
    assert row.split()[-6:-2] == ["completed", "64/64", "0.1235", "0.001235"]
    assert len(row) <= 80

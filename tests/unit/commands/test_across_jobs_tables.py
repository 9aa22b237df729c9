"""What `stride best-lr --all` shows."""

from typing import Any
from uuid import UUID

import pytest

from service.commands.across_jobs_tables import best_rates
from service.commands.tables import console
from service.domain.across_jobs import BestRates
from tests.unit.commands.answers import LITTLE_KNOWN
from tests.unit.commands.test_answers import ANSWER, PARAMS

MEASURE = {"objective": "image-classification", "dataset": "digits", "fold": 0}
RECIPE = {"optimizer": "adam", "schedule": "cosine", "batch_size": "searched"}


def job_id(number: int) -> str:
    return str(UUID(int=number + 1 << 96))


def item(**changes: Any) -> dict[str, Any]:
    of = {"measure": MEASURE, "recipe": RECIPE, "metric": "validation_loss", "direction": "minimize"}
    return of | {"answer": ANSWER | {"params": PARAMS}, "jobs": [job_id(0)]} | changes


def shown(capsys: pytest.CaptureFixture[str], *items: Any, width: int = 100, left_out: Any = ()) -> str:
    out = console()
    out.width = width
    out.print(best_rates(BestRates.model_validate({"items": items, "next_cursor": None, "left_out": left_out})))
    return capsys.readouterr().out


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_a_row_has_the_rate_and_below_it_its_interval_and_the_parameters_for_which_it_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = cells(shown(capsys, item()))
    assert lines[0] == ["image-classification dataset=digits fold=0: validation_loss, minimized"]
    at = lines.index(["0.02135", "0.0841", "64 trials", "confident"])
    assert lines[at + 1 : at + 4] == [
        ["0.015 to 0.031", "0.081 to 0.0877", "00000001"],
        ["batch_size=32"],
        ["momentum=0.917"],
    ]
    assert lines[-1] == ["Ranges are 90% intervals. A rate and its range hold with the parameters below them."]


def test_a_recipe_is_shown_where_it_differs_within_its_measure(capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = {"measure": MEASURE | {"dataset": "mnist"}, "recipe": RECIPE | {"schedule": "step"}}
    text = shown(capsys, item(), item(recipe=RECIPE | {"optimizer": "sgd", "nesterov": True}), item(**elsewhere))
    first, second = text.split("image-classification dataset=mnist")
    assert all(part in first for part in ("recipe", "optimizer=adam", "optimizer=sgd", "nesterov=true"))
    assert not any(part in text for part in ("schedule", "batch_size=searched"))
    assert "recipe" not in second, "there is one only"


@pytest.mark.parametrize("changes", [{"metric": "validation_accuracy"}, {"direction": "maximize"}])
def test_other_metrics_have_tables_of_their_own(capsys: pytest.CaptureFixture[str], changes: dict[str, str]) -> None:
    assert shown(capsys, item(), item(**changes)).count("learning rate") == 2


def test_where_trials_are_few_the_best_trial_stands_for_what_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    best = {"number": 3, "value": 0.12345, "params": {}}
    lines = cells(shown(capsys, item(answer=LITTLE_KNOWN | {"learning_rate": 0.01, "best_trial": best})))
    at = lines.index(["0.01", "0.1235", "4 trials", "needs more trials"])
    assert lines[at + 1] == ["best trial", "00000001"]
    assert not any("intervals" in " ".join(line) for line in lines)
    assert ["-", "-", "4 trials", "all diverged"] in cells(shown(capsys, item(answer=LITTLE_KNOWN | {"verdict": "all diverged"})))


def test_of_many_jobs_three_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, item(jobs=[job_id(number) for number in range(12)]))
    assert all(job_id(number)[:8] in text for number in range(3))
    assert job_id(3)[:8] not in text
    assert "+ 9 more" in text


def test_jobs_without_an_answer_are_named_by_reason(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = [{"job": job_id(number), "because": "it waits"} for number in range(5)]
    text = shown(capsys, left_out=[*left_out, {"job": job_id(9), "because": "it searches fold"}])
    assert text.splitlines() == [
        "No such job has an answer yet.",
        "Left out: 00000001, 00000002, 00000003, + 2 more: it waits.",
        "Left out: 0000000a: it searches fold.",
    ]


def test_nothing_that_users_wrote_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b[31m\u202e"
    items = [
        item(measure=MEASURE | {"dataset": evil, evil: 1}, recipe={evil: evil, "n": number}, metric=f"loss{evil}")
        for number in (0, 1)
    ]
    items[0]["answer"] = ANSWER | {"params": {evil: evil}}
    text = shown(capsys, *items, left_out=[{"job": job_id(0), "because": evil}])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "?[31m" in text


@pytest.mark.parametrize("width", [100, 80])
@pytest.mark.parametrize("n", [1, 12])
def test_it_fits_a_terminal_and_cuts_no_number(capsys: pytest.CaptureFixture[str], n: int, width: int) -> None:
    items = [item(recipe=RECIPE | {"warmup_fraction": number / 10, "normalization": "batch"}) for number in range(n)]
    text = shown(capsys, *items, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("0.015 to 0.031") == text.count("0.081 to 0.0877") == text.count("momentum=0.917") == n
    assert "…" not in text

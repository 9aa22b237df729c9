"""The page of case studies says what the recorded tables hold."""

from pathlib import Path

import optuna
import pytest

from benchmarks.case_studies import CASES, diverging
from benchmarks.record_tables import RECIPES
from benchmarks.recorded import trained
from benchmarks.recorded.sampling import Draw
from service.analysis.answer.best_lr import answer
from service.analysis.figures.lessons.traces import rough

PAGE = Path("docs/case-studies.md")


@pytest.mark.parametrize("name", CASES)
def test_the_page_has_the_best_rate_and_the_edge_of_each_table_and_its_picture(name: str) -> None:
    recorded = trained.load(name)[0]
    edge = diverging(recorded)
    page = PAGE.read_text(encoding="utf-8")
    [row] = [
        line.split(" | ") for line in page.split("How often the answers hold")[0].splitlines() if f"| {recorded.name} |" in line
    ]
    assert (row[1], row[4]) == (rough(10**recorded.best_rate), "none" if edge is None else rough(edge))
    assert f"(case-studies/{name}.svg)" in page
    assert (PAGE.parent / "case-studies" / f"{name}.svg").exists()
    assert name in RECIPES


def test_no_loss_below_all_that_were_seen_is_expected_for_sure() -> None:
    """Losses that span four decades: 0 was expected, from 0 to 0."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    recorded = trained.load("adding")[0]
    drawn = Draw(recorded, "qmc", 1)
    trials = drawn.trials(32)
    expected = answer(drawn.job, trials).expected
    assert expected is not None
    assert expected.high >= min(trial.value for trial in trials if trial.value is not None) > 0

"""The recorded lessons are still true: the cheap ones are trained again."""

import json
from typing import Any

import pytest

from benchmarks import lessons
from service.api.pages.lessons import LESSONS


def recorded(name: str) -> Any:
    return json.loads((lessons.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_every_lesson_is_recorded_by_the_script_and_no_other_is() -> None:
    names = {lesson.name for lesson in LESSONS}
    assert lessons.LESSONS.keys() == names
    assert {path.stem for path in lessons.FOLDER.glob("*.json")} == names


def test_the_paths_of_gradient_descent_are_those_that_it_takes() -> None:
    for now, then in zip(lessons.gradient_descent()["paths"], recorded("gradient-descent")["paths"], strict=True):
        assert now["learning_rate"] == then["learning_rate"]
        assert now["points"] == [pytest.approx(point, rel=1e-2, abs=1e-4) for point in then["points"]]


def test_training_loses_at_each_rate_what_was_recorded() -> None:
    """Of the last epoch; other processors round differently, which grows from update to update."""
    now, then = lessons.learning_rate()["runs"], recorded("learning-rate")["runs"]
    assert [run["diverged"] for run in now] == [run["diverged"] for run in then]
    for one, other in zip(now, then, strict=True):
        if not one["diverged"]:
            assert sum(one["losses"][-35:]) == pytest.approx(sum(other["losses"][-35:]), rel=0.2)


def test_the_response_curve_has_its_recorded_losses_and_edge() -> None:
    then = recorded("response-curve")
    by_rate = dict(zip(then["learning_rates"], then["losses"], strict=True))
    for rate in (0.001, 0.01, 0.1):
        assert lessons.last_loss({"learning_rate": rate}, 0) == pytest.approx(by_rate[rate][0], rel=0.1)
    assert by_rate[10.0] == [None] * 4
    assert lessons.last_loss({"learning_rate": 10.0}, 0) == float("inf")


def test_a_lower_rate_at_the_end_lowers_the_training_loss() -> None:
    chosen = {**lessons.NOISY, "learning_rate": 0.1, "step_size": 10}
    ends = {run["schedule"]: run["losses"][-1] for run in recorded("decay")["runs"]}
    assert ends["cosine"] < ends["step"] < ends["constant"]
    losses = [lessons.training_loss(lessons.train({**chosen, "schedule": name}, lessons.NARROW, 1)) for name in ends]
    assert losses[0] > 1.2 * max(losses[1:])

import copy
import json
from typing import Any

import plotly.graph_objects as go
import pytest

from service.api.pages.lessons import FOLDER, LESSONS, Lesson

each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


@each_lesson
def test_the_picture_of_a_lesson_is_one_that_plotly_knows_with_titles_and_a_text(lesson: Lesson) -> None:
    figure = lesson.draw(lesson.recorded())
    go.Figure(figure.to_json(), skip_invalid=False)
    assert figure.text.endswith(".")
    assert figure.data
    titles = [axis["title"]["text"] for name, axis in figure.layout.items() if name[1:5] == "axis" and "title" in axis]
    assert any(name.startswith("xaxis") and "title" in axis for name, axis in figure.layout.items())
    assert all(titles)


@each_lesson
def test_the_numbers_in_the_text_are_those_of_the_record(lesson: Lesson) -> None:
    assert lesson.draw(scaled(lesson.recorded(), 3.0)).text != lesson.draw(lesson.recorded()).text


@each_lesson
def test_a_record_is_small_and_says_how_it_was_made(lesson: Lesson) -> None:
    path = FOLDER / f"{lesson.name}.json"
    assert path.stat().st_size < 40_000
    made = json.loads(path.read_text(encoding="utf-8"))["made"]
    assert made["by"] == "benchmarks/lessons.py"
    assert {"commit", "on", "torch"} < made.keys()


def scaled(recorded: Any, factor: float) -> Any:
    """The record with all its numbers that are not whole multiplied."""
    if isinstance(recorded, float):
        return recorded * factor
    if isinstance(recorded, dict):
        return {name: value if name in ("made", "momentum") else scaled(value, factor) for name, value in recorded.items()}
    return [scaled(value, factor) for value in recorded] if isinstance(recorded, list) else copy.copy(recorded)

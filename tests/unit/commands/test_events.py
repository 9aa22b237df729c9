from typing import Any

import pytest

from service.commands.events import line


@pytest.mark.parametrize(
    ("type_", "payload", "told"),
    [
        ("job.started", {}, "job.started"),
        ("job.submitted", {"name": None, "objective": "quadratic"}, "job.submitted           objective=quadratic"),
        ("job.submitted", {"name": "what rate?"}, 'job.submitted           name="what rate?"'),
        ("trial.completed", {"trial": 3, "value": 0.123456}, "trial.completed         trial=3 value=0.1235"),
        ("trial.failed", {"trial": 3, "value": None, "error": "E: no"}, "trial.failed            trial=3 E: no"),
        ("trial.failed", {"trial": 3, "value": None}, "trial.failed            trial=3"),  # of an API of before
        ("sampler.failed", {"error": "ValueError: no\nway", "trial": 3}, "sampler.failed          trial=3 ValueError: no way"),
        ("job.failed", {"reason": "all \x1b[31mfailed\u202e"}, "job.failed              all ?[31mfailed?"),
        ("checkpoint.passed_over", {"steps": [1, 2]}, "checkpoint.passed_over  steps=[1, 2]"),
    ],
)
def test_an_event_is_one_line_of_what_it_says(type_: str, payload: dict[str, Any], told: str) -> None:
    assert line({"seq": 1, "at": "2026-11-22T10:00:00.5Z", "type": type_, "payload": payload}).plain == (
        f"2026-11-22 10:00:00 UTC  {told}"
    )

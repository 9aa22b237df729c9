"""The headline of an answer names the parameters that matter most."""

import pytest

from service.analysis.words.summary import headline
from service.domain.answer import Answer
from tests.unit.commands.answers import LITTLE_KNOWN

INTERVAL = {"low": 0.01, "high": 0.1}
PARAMS = {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("important", "most", "after"),
    [
        ([], None, " with a=1 b=2 c=3"),
        ([], 3, " with a=1 b=2 c=3"),
        ([], 2, " with a=1 b=2 and 1 more"),
        (["learning_rate", "c", "b"], 1, " with c=3 and 2 more"),
        (["learning_rate", "c", "b"], 2, " with b=2 c=3 and 1 more"),
        (["c"], 2, " with a=1 c=3 and 1 more"),
    ],
)
def test_of_many_parameters_those_that_matter_most_are_named(important: list[str], most: int | None, after: str) -> None:
    importance = [{"parameter": name, "alone": 0.5, "total": 0.5} for name in important]
    answer = LITTLE_KNOWN | {"learning_rate": 0.02, "interval": INTERVAL, "params": PARAMS, "importance": importance}
    assert headline(Answer.model_validate(answer), most) == ("Learning rate ", "0.02", after)

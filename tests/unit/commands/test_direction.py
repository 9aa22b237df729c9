"""A direction that contradicts how the values of trials change while they train."""

import pytest

from objectives.contract import Direction
from service.commands.direction import Ends, doubt

ROSE, FELL = Ends(1.0, 2.0), Ends(2.0, 1.0)


@pytest.mark.parametrize(
    ("ends", "direction", "said"),
    [
        (
            [ROSE] * 4 + [FELL],
            "minimize",
            "loss rose in 4 of 5 trials, and the lowest counts as the best: if higher is",
        ),
        ([FELL] * 5, "maximize", "loss fell in 5 of 5 trials, and the highest counts as the best: if lower is"),
        ([ROSE] * 3 + [FELL] * 2, "minimize", None),
        ([FELL] * 5, "minimize", None),
        ([ROSE] * 4, "minimize", None),
        ([Ends(1.0, 1.0)] * 5, "minimize", None),
        ([], "minimize", None),
    ],
)
def test_a_direction_is_doubted_where_most_trials_got_worse(ends: list[Ends], direction: Direction, said: str | None) -> None:
    found = doubt(ends, "loss", direction)
    assert (found is None) == (said is None)
    assert said is None or said in str(found)

"""A step that was measured in another process."""

import math

import pytest

from objectives.scripts.measured import measured


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"accuracy": 0.1, "training_loss": 2.0, "other": math.nan}, None),
        ({"accuracy": 0.1, "training_loss": math.nan}, "training_loss was nan at step 2"),
        ({"accuracy": math.inf}, "accuracy was inf at step 2"),
    ],
)
def test_a_run_has_diverged_where_its_metric_or_its_training_loss_is_no_number(
    metrics: dict[str, float], reason: str | None
) -> None:
    found = measured("accuracy", 4, step=2, metrics=metrics, learning_rate=0.1, seconds=1.0).divergence
    assert (None if found is None else (found.reason, found.fraction)) == (None if reason is None else (reason, 0.5))

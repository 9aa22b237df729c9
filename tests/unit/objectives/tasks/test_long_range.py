"""The adding and the copying problem: what is learned, and what does not change it."""

from typing import Any

import pytest
import torch

from objectives.contract import DataProblem
from objectives.tasks.long_range import start
from objectives.training.supervised import SupervisedRun
from tests.unit.objectives.runs import train, weights_of


def begin(settings: dict[str, Any], **params: Any) -> SupervisedRun:
    run = start({"epochs": 2} | params, {"width": 8} | settings, 0, "cpu", 1)
    assert isinstance(run, SupervisedRun)
    return run


each_network = pytest.mark.parametrize(
    "settings",
    [{"problem": "adding", "model": "gru", "length": 4}, {"problem": "copying", "model": "transformer", "length": 2}],
    ids=lambda settings: settings["model"],
)


def test_a_width_that_attention_cannot_share_is_refused() -> None:
    with pytest.raises(DataProblem, match=r"^width is 6: a Transformer needs a multiple of its 4 heads of attention\.$"):
        begin({"model": "transformer", "width": 6, "length": 2})


@each_network
def test_a_resumed_run_ends_as_one_that_is_not_interrupted(settings: dict[str, Any]) -> None:
    choices = {"batch_size": 1024, "learning_rate": 0.01}
    whole = begin(settings, **choices)
    first, last = train(whole)
    interrupted, resumed = begin(settings, **choices), begin(settings, **choices)
    assert repr(train(interrupted, 1)) == repr([first])
    resumed.load_state_dict(interrupted.state_dict())
    assert repr(train(resumed)) == repr([last])
    assert torch.equal(weights_of(resumed), weights_of(whole))
    assert resumed.evaluate() == whole.evaluate()
    assert last.metrics["validation_loss"] < first.metrics["validation_loss"]
    assert set(whole.evaluate()) == {"test_loss", "test_accuracy"}

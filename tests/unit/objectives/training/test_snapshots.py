import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softmax

from objectives.contract import DataProblem, Measurement
from objectives.data.digits import digits
from objectives.models.layers import Between
from objectives.models.mlp import mlp
from objectives.training.snapshots import mean_outputs, mean_probabilities
from tests.unit.objectives.runs import begin, train, weights_of

CYCLES: dict[str, Any] = {"schedule": "cosine-restarts", "restart_epochs": 1, "restart_factor": 2, "learning_rate": 0.1}
"""They end at steps 1, 3 and 7."""
OF_CYCLES = ("cycle_validation_loss", "snapshot_distance", "ensemble_validation_loss", "ensemble_validation_accuracy")


def of_cycles(measured: Measurement) -> set[str]:
    return {name for name in measured.metrics if name in OF_CYCLES}


def test_the_end_of_each_cycle_tells_its_loss_and_how_far_the_weights_have_come() -> None:
    run = begin(**CYCLES, epochs=8)
    snapshots, measured = [], []
    for step in range(1, 9):
        measured += train(run, 1)
        if step in (1, 3, 7):
            snapshots.append(weights_of(run))
    told = {each.step: of_cycles(each) for each in measured if of_cycles(each)}
    later = {"cycle_validation_loss", "snapshot_distance"}
    assert told == {1: {"cycle_validation_loss"}, 3: later, 7: later}
    assert measured[2].metrics["cycle_validation_loss"] == measured[2].metrics["validation_loss"]
    for step, before, now in zip((3, 7), snapshots, snapshots[1:], strict=False):
        expected = ((now - before).norm() / before.norm()).item()
        assert measured[step - 1].metrics["snapshot_distance"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "one-cycle", "cosine"])
def test_other_schedules_have_no_cycles_to_tell_of(schedule: str) -> None:
    run = begin(schedule=schedule, snapshot_ensemble=2)
    assert not set().union(*map(of_cycles, train(run)))
    assert set(run.evaluate()) == {"test_loss", "test_accuracy"}


def test_an_ensemble_averages_the_probabilities_of_the_last_cycles_models() -> None:
    run = begin(**CYCLES, epochs=8, snapshot_ensemble=2)
    states, measured = [], []
    for step in range(1, 9):
        measured += train(run, 1)
        if step in (3, 7):
            states.append(run.state_dict()["model"])
    sets, probabilities = digits(), []
    for state in states:
        model = mlp(sets.input_shape, 10, Between(activation="relu", normalization="none", dropout=0.0))
        model.load_state_dict(state)
        with torch.inference_mode():
            probabilities.append([softmax(model(each.inputs), dim=1) for each in (sets.validation, sets.test)])
    on_validation, on_test = (sum(each) / 2 for each in zip(*probabilities, strict=True))
    told = measured[6].metrics | run.evaluate()
    for name, mean, part in (("validation", on_validation, sets.validation), ("test", on_test, sets.test)):
        assert told[f"ensemble_{name}_loss"] == pytest.approx(cross_entropy(mean.log(), part.targets).item(), rel=1e-5)
        assert told[f"ensemble_{name}_accuracy"] == pytest.approx((mean.argmax(1) == part.targets).float().mean().item())


def test_an_ensemble_changes_neither_training_nor_the_model() -> None:
    alone, with_ensemble = begin(**CYCLES), begin(**CYCLES, snapshot_ensemble=3)
    for run in (alone, with_ensemble):
        train(run)
    assert torch.equal(weights_of(alone), weights_of(with_ensemble))
    test = with_ensemble.evaluate()
    assert alone.evaluate().items() <= test.items()
    assert with_ensemble.evaluate() == test


def test_a_run_that_diverged_takes_no_snapshot() -> None:
    [last] = train(begin(**CYCLES | {"learning_rate": 1e6}))
    assert last.divergence is not None
    assert not of_cycles(last)


def test_probabilities_are_averaged_and_not_logits() -> None:
    sure, unsure = torch.tensor([[8.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    mean = softmax(mean_probabilities([sure, unsure]), dim=1)
    assert mean[0, 0].item() == pytest.approx((1 / (1 + math.exp(-8)) + 0.5) / 2)
    assert mean_outputs([sure, unsure]).tolist() == [[4.0, 0.0]]


def test_what_cannot_be_averaged_is_said_in_a_sentence() -> None:
    outputs: dict[str, Tensor] = {"hidden": torch.zeros(2)}
    with pytest.raises(DataProblem, match=r"^snapshot_ensemble averages tensors, and the model returned .*: leave it at 0\.$"):
        mean_outputs([outputs])

import io
from math import inf, nan
from typing import Any

import pytest
import torch
from torch import nn

from objectives.training.early_stopping import EarlyStopping


def model_of(step: float) -> nn.Linear:
    """A model that can be told from those of other steps."""
    model = nn.Linear(2, 1)
    for weights in model.parameters():
        nn.init.constant_(weights, step)
    return model


def observe(stopping: EarlyStopping, losses: list[float], first_step: int = 1) -> list[int]:
    """Observe losses of steps; returns those after which it says that the run has stopped."""
    stopped = []
    for step, loss in enumerate(losses, start=first_step):
        stopping.observe(step, loss, model_of(step))
        if stopping.has_stopped:
            stopped.append(step)
    return stopped


def restored(stopping: EarlyStopping) -> float:
    """The step whose weights a model gets; -1: none."""
    model = model_of(-1)
    stopping.restore(model)
    assert torch.equal(model.weight, torch.full((1, 2), model.bias.item()))
    return model.bias.item()


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize(
    ("patience", "losses", "stops_at", "best_step"),
    [
        pytest.param(2, [3.0, 2.0, 1.0], None, 3, id="falls"),
        pytest.param(1, [3.0, 2.0, 2.5], 3, 2, id="one epoch without a new lowest"),
        pytest.param(2, [3.0, 2.0, 2.5], None, 2, id="one of two"),
        pytest.param(2, [3.0, 2.0, 2.5, 2.1], 4, 2, id="two of two"),
        pytest.param(2, [3.0, 3.5, 2.0, 2.5, 1.0, 1.5], None, 5, id="begins again at each new lowest"),
        pytest.param(2, [2.0, 2.0, 2.0], 3, 1, id="an equal loss is no new lowest"),
        pytest.param(2, [3.0, 2.9, 2.8, 2.99, 2.95], 5, 3, id="compares with the lowest, not with the last"),
        pytest.param(3, [1.0, nan, nan, nan], 4, 1, id="nan is never the best"),
        pytest.param(3, [nan, 2.0, nan, 1.0], None, 4, id="nan before a number"),
        pytest.param(1, [inf, nan, inf], None, None, id="none was a number"),
    ],
)
def test_a_run_stops_after_so_many_epochs_without_a_new_lowest_loss_and_keeps_that_ones_weights(
    patience: int, losses: list[float], stops_at: int | None, best_step: int | None
) -> None:
    stopping = EarlyStopping(patience)
    stopped = observe(stopping, losses)
    assert stopped == ([] if stops_at is None else [stops_at])
    assert stopping.best_step == best_step
    assert restored(stopping) == (-1 if best_step is None else best_step)


def test_patience_of_zero_never_stops_and_keeps_nothing() -> None:
    stopping = EarlyStopping(0)
    assert observe(stopping, [1.0, *[2.0] * 50]) == []
    assert stopping.best_step is None
    assert restored(stopping) == -1
    assert stopping.state_dict()["weights"] is None


def test_the_weights_kept_do_not_follow_the_model() -> None:
    stopping, model = EarlyStopping(3), model_of(1)
    stopping.observe(1, 0.5, model)
    nn.init.constant_(model.weight, 9.0)
    nn.init.constant_(model.bias, 9.0)
    stopping.observe(2, 0.6, model)
    stopping.restore(model)
    assert model.weight.tolist() == [[1.0, 1.0]]


def test_the_statistics_of_batch_norm_are_restored_too() -> None:
    stopping, model = EarlyStopping(3), nn.BatchNorm1d(2)
    model(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    stopping.observe(1, 0.5, model)
    expected = model.state_dict()["running_mean"].clone()
    model(torch.tensor([[10.0, 20.0], [30.0, 40.0]]))
    assert not torch.equal(model.state_dict()["running_mean"], expected)
    stopping.restore(model)
    assert torch.equal(model.state_dict()["running_mean"], expected)


@pytest.mark.parametrize("n_before", [0, 1, 2, 3, 4])
def test_one_continued_from_its_state_is_the_one_never_interrupted(n_before: int) -> None:
    losses = [3.0, 2.0, 2.5, 2.1, 2.2]
    first, continued = EarlyStopping(3), EarlyStopping(3)
    assert observe(first, losses[:n_before]) == []
    continued.load_state_dict(through_a_file(first.state_dict()))
    assert observe(continued, losses[n_before:], n_before + 1) == [5]
    assert (continued.best_step, restored(continued)) == (2, 2)


def test_one_that_has_stopped_has_stopped_after_its_state_is_loaded() -> None:
    first, continued = EarlyStopping(1), EarlyStopping(1)
    assert observe(first, [1.0, 2.0]) == [2]
    continued.load_state_dict(through_a_file(first.state_dict()))
    assert continued.has_stopped

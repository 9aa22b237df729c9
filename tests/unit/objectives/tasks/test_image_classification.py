import io
import math
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from torch.nn.functional import cross_entropy

from objectives.contract import DataProblem, Run
from objectives.tasks.image_classification import start
from objectives.training import losses, updates
from tests.unit.objectives.rounding import EPS
from tests.unit.objectives.runs import train

each_model = pytest.mark.parametrize("model", ["mlp", "cnn", "resnet"])


def begin(*, model: str = "mlp", seed: int = 0, device: str = "cpu", threads: int = 1, **params: Any) -> Run:
    return start({"epochs": 3, "batch_size": 64} | params, {"model": model}, seed, device, threads)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@each_model
def test_the_same_seed_gives_the_same_run_bit_for_bit(model: str) -> None:
    first, second = begin(model=model), begin(model=model)
    assert train(first) == train(second)
    assert first.evaluate() == second.evaluate()


@each_model
def test_no_draw_comes_from_the_global_generator(model: str) -> None:
    torch.manual_seed(1)
    first = train(begin(model=model))
    torch.manual_seed(2)
    assert train(begin(model=model)) == first


def test_another_seed_gives_another_run() -> None:
    assert train(begin(seed=0)) != train(begin(seed=1))


def test_two_runs_in_turns_do_not_disturb_each_other() -> None:
    run, other = begin(), begin(seed=1)
    in_turns = []
    for _ in range(3):
        in_turns += train(run, 1)
        train(other, 1)
    assert in_turns == train(begin())


@each_model
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_run_continued_from_a_checkpoint_is_the_run_never_stopped(model: str, momentum: float) -> None:
    whole, stopped, continued = (begin(model=model, momentum=momentum, epochs=4) for _ in range(3))
    expected = train(whole)
    begun = train(stopped, 2)
    continued.load_state_dict(through_a_file(stopped.state_dict()))
    assert begun + train(continued) == expected
    assert continued.evaluate() == whole.evaluate()


def test_a_checkpoint_does_not_change_when_training_goes_on() -> None:
    run = begin()
    train(run, 1)
    state = run.state_dict()
    expected = train(run)
    for _ in range(2):
        run.load_state_dict(state)
        assert train(run) == expected


def test_iterating_again_goes_on_where_the_last_iteration_stopped() -> None:
    run = begin()
    assert [measurement.step for measurement in train(run, 2)] == [1, 2]
    assert [measurement.step for measurement in train(run)] == [3]
    assert train(run) == []


def test_training_happens_only_when_the_next_item_is_asked_for() -> None:
    run = begin()
    iter(run)
    assert run.state_dict()["validation_losses"] == []


@each_model
def test_the_first_loss_is_the_loss_of_guessing(model: str) -> None:
    assert begin(model=model).evaluate()["test_loss"] == pytest.approx(math.log(10), rel=16 * EPS)


@each_model
def test_a_good_learning_rate_learns(model: str) -> None:
    run = begin(model=model, learning_rate=0.05, epochs=5)
    first, *_, last = train(run)
    assert last.metrics["training_loss"] < first.metrics["training_loss"] / 3
    assert last.metrics["validation_accuracy"] > 0.9
    assert run.evaluate()["test_accuracy"] > 0.9


def test_a_measurement_says_how_far_the_run_is() -> None:
    first, _second, last = train(begin(learning_rate=0.03))
    assert (first.step, first.fraction, first.in_warmup, first.learning_rate) == (1, 1 / 3, False, 0.03)
    assert (last.step, last.fraction) == (3, 1.0)
    assert {"training_loss", "validation_loss", "validation_accuracy"} < set(first.metrics)
    assert all(math.isfinite(value) for value in first.metrics.values())


@pytest.mark.parametrize(
    ("model", "learning_rate"),
    [(model, rate) for model in ("mlp", "cnn") for rate in (10.0, 1e3, 1e6)] + [("resnet", 1e3), ("resnet", 1e6)],
)
def test_a_far_too_high_learning_rate_is_divergence_and_ends_the_run(model: str, learning_rate: float) -> None:
    run = begin(model=model, learning_rate=learning_rate, epochs=10)
    *before, last = train(run)
    assert len(before) < 5
    assert all(measurement.divergence is None for measurement in before)
    assert last.divergence is not None
    assert 0 < last.divergence.fraction <= last.fraction
    assert train(run) == []


def test_a_diverged_run_stays_ended_after_a_checkpoint() -> None:
    run, continued = begin(learning_rate=1e3), begin(learning_rate=1e3)
    train(run)
    continued.load_state_dict(through_a_file(run.state_dict()))
    assert train(continued) == []


def test_a_run_that_learns_nothing_has_not_diverged() -> None:
    *_, last = train(begin(learning_rate=1e-9, epochs=5))
    assert last.step == 5
    assert last.divergence is None


def test_a_loss_that_is_not_finite_ends_the_epoch_early(monkeypatch: pytest.MonkeyPatch) -> None:
    loss_of_a_batch = Mock(wraps=cross_entropy)
    monkeypatch.setattr(losses, "cross_entropy", loss_of_a_batch)
    (measurement,) = train(begin(learning_rate=1e30, batch_size=1, epochs=1))
    assert measurement.divergence is not None
    assert measurement.divergence.update < 10
    assert loss_of_a_batch.call_count == updates.CHECK_EVERY + 2  # and on the validation set, in two batches


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataProblem, match=r"^device is 'cuda', but torch finds 0 CUDA devices here\.$"):
        begin(device="cuda")


def test_a_run_computes_with_the_threads_it_is_given() -> None:
    begin(threads=2)
    assert torch.get_num_threads() == 2
    begin(threads=1)
    assert torch.get_num_threads() == 1


def test_parameters_and_settings_left_out_take_their_defaults() -> None:
    first, second = start({}, {}, 0, "auto", 1), start({"learning_rate": 0.02}, {"dataset": "digits"}, 0, "auto", 1)
    assert train(first, 1) == train(second, 1)

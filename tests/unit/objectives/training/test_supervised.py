"""The run that all objectives with examples share, against PyTorch written out, and against itself in another process."""

import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from prodigyopt import Prodigy
from schedulefree import AdamWScheduleFree, SGDScheduleFree
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.testing import assert_close

from objectives.contract import DataProblem
from objectives.data.digits import digits
from objectives.models.layers import Between
from objectives.models.mlp import mlp
from objectives.parameters.choices import SCHEDULE_FREE
from objectives.training import updates
from objectives.training.generators import named_generator
from objectives.training.hypergradient import HypergradientAdam, HypergradientSGD
from objectives.training.initialization import initialize
from objectives.training.rate_audit import RateMismatch
from tests.unit.objectives.rounding import EPS, roundings
from tests.unit.objectives.runs import BATCH, CHOICES, ENDED, EPOCHS, PAIRS, begin, end_of, train, weights_of

RATE = 0.001
WEIGHT_DECAY = 0.1


class Written:
    """The same run, written out with the optimizer itself and PyTorch's own scheduler.

    Fused wherever the run's optimizer is, so that the kernels are the same and weights end the same bit for bit. Plain ones round
    otherwise: soon the input of a rectifier is above zero here and not there, a gradient has an example more or less, and Adam
    makes full steps of gradients however small.
    """

    def __init__(
        self, optimizer: str, schedule: str, rate: float = RATE, weight_decay: float = WEIGHT_DECAY, patience: int = 10
    ) -> None:
        data = digits()
        between = Between(activation="relu", normalization="none", dropout=0.0)
        self.model = mlp(data.input_shape, 10, between)
        initialize(self.model, "he-normal", named_generator(0, "initialization"))
        self.inputs, self.targets = data.training.inputs, data.training.targets
        self.validation = data.validation
        self.order = named_generator(0, "data order")
        self.optimizer = {
            "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True),
            "adagrad": partial(torch.optim.Adagrad, eps=1e-8, fused=True),
            "rmsprop": partial(torch.optim.RMSprop, momentum=0.9),
            "adam": partial(torch.optim.Adam, fused=True),
            "adamw": partial(torch.optim.AdamW, fused=True),
            "prodigy": Prodigy,
            "schedule-free-sgd": SGDScheduleFree,
            "schedule-free-adamw": AdamWScheduleFree,
            "hypergradient-sgd": partial(HypergradientSGD, momentum=0.9, hypergradient_rate=0.02),
            "hypergradient-adam": partial(HypergradientAdam, betas=(0.9, 0.999), eps=1e-8, hypergradient_rate=0.02),
        }[optimizer](self.model.parameters(), lr=rate, weight_decay=weight_decay)
        self.is_schedule_free = optimizer in SCHEDULE_FREE
        self.schedule = schedule
        self.rate = rate
        self.patience = patience

    def train(self) -> torch.Tensor:
        """The weights after EPOCHS."""
        n_batches = len(self.inputs) // BATCH
        scheduler = self._scheduler(n_batches)
        for epoch in range(EPOCHS):
            if self.is_schedule_free:
                self.optimizer.train()
            order = torch.randperm(len(self.inputs), generator=self.order)
            for update, batch in enumerate(order[: n_batches * BATCH].split(BATCH)):
                if not isinstance(scheduler, ReduceLROnPlateau) and (epoch, update) > (0, 0):
                    scheduler.step()
                self.optimizer.zero_grad()
                cross_entropy(self.model(self.inputs[batch]), self.targets[batch]).backward()
                self.optimizer.step()
            if self.is_schedule_free:
                self.optimizer.eval()
            if isinstance(scheduler, ReduceLROnPlateau):
                with torch.inference_mode():
                    scheduler.step(cross_entropy(self.model(self.validation.inputs), self.validation.targets).item())
        return torch.cat([weights.detach().flatten() for weights in self.model.parameters()])

    def _scheduler(self, n_batches: int) -> Any:
        schedulers = torch.optim.lr_scheduler
        match self.schedule:
            case "constant":
                return schedulers.ConstantLR(self.optimizer, 1.0)
            case "step":
                return schedulers.StepLR(self.optimizer, 3 * n_batches, 0.1)
            case "multi-step":
                return schedulers.MultiStepLR(self.optimizer, [EPOCHS * n_batches // 2, EPOCHS * n_batches * 3 // 4], 0.1)
            case "exponential":
                return schedulers.ExponentialLR(self.optimizer, 0.9 ** (1 / n_batches))
            case "polynomial":
                return schedulers.PolynomialLR(self.optimizer, EPOCHS * n_batches)
            case "cosine":
                return schedulers.CosineAnnealingLR(self.optimizer, EPOCHS * n_batches)
            case "cosine-restarts":
                return schedulers.CosineAnnealingWarmRestarts(self.optimizer, 2 * n_batches, 2)
            case "cyclical":
                cycles = {"cycle_momentum": self._has_momentum(), "base_momentum": 0.85, "max_momentum": 0.95}
                return schedulers.CyclicLR(self.optimizer, self.rate / 4, self.rate, 2 * n_batches, **cycles)
            case "one-cycle":
                total = EPOCHS * n_batches
                return schedulers.OneCycleLR(self.optimizer, self.rate, total, cycle_momentum=self._has_momentum())
            case "plateau":
                return ReduceLROnPlateau(self.optimizer, patience=self.patience)
        total, decay = EPOCHS * n_batches, round(0.2 * EPOCHS * n_batches)
        return schedulers.LambdaLR(
            self.optimizer, lambda update: 1 - math.sqrt(max(0, update - (total - decay)) / decay) if update < total else 0
        )

    def _has_momentum(self) -> bool:
        return not isinstance(self.optimizer, torch.optim.Adagrad) and not self.is_schedule_free


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Bit for bit."""
    assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize(("optimizer", "schedule"), PAIRS)
def test_an_optimizer_under_a_policy_ends_at_the_weights_of_the_same_written_out(optimizer: str, schedule: str) -> None:
    run = begin(optimizer=optimizer, schedule=schedule, learning_rate=RATE, weight_decay=WEIGHT_DECAY, nesterov=True)
    train(run)
    assert_same(weights_of(run), Written(str(optimizer), schedule).train())


@pytest.mark.parametrize("optimizer", SCHEDULE_FREE)
def test_the_averaged_weights_are_evaluated_and_kept(optimizer: str) -> None:
    run = begin(optimizer=optimizer)
    *_, last = train(run)
    state = run.state_dict()
    data, model = digits(), mlp((1, 8, 8), 10, Between(activation="relu", normalization="none", dropout=0.0))
    model.load_state_dict(state["model"])
    with torch.inference_mode():
        loss = cross_entropy(model(data.validation.inputs), data.validation.targets).item()
    assert last.metrics["validation_loss"] == pytest.approx(loss, rel=1e-6)
    assert not torch.equal(state["optimizer"]["state"][0]["z"], state["model"]["1.weight"])


def test_a_plateau_lowers_the_rate_where_pytorchs_does() -> None:
    """Under so much weight decay the loss soon rises."""
    run = begin(schedule="plateau", plateau_patience=0, learning_rate=0.1, weight_decay=0.3, nesterov=True)
    rates = [item.learning_rate for item in train(run)]
    assert len(set(rates)) == 3
    written = Written("sgd", "plateau", rate=0.1, weight_decay=0.3, patience=0)
    assert_same(weights_of(run), written.train())
    # PyTorch's has looked at the last loss already.
    assert rates[-1] == pytest.approx(10 * written.optimizer.param_groups[0]["lr"])


def test_a_run_that_goes_on_in_another_process_ends_bit_for_bit_as_one_that_was_never_interrupted(tmp_path: Path) -> None:
    expected = {}
    for name, choices in CHOICES.items():
        run = begin(**choices)
        train(run, 2)
        torch.save(run.state_dict(), tmp_path / name)
        expected[name] = end_of(run)
    subprocess.run([sys.executable, "-W", "error", "-m", "tests.unit.objectives.runs", str(tmp_path)], check=True)
    ended = json.loads((tmp_path / ENDED).read_text())
    assert [name for name in CHOICES if ended[name] != expected[name]] == []


def test_a_state_of_another_kind_of_device_can_be_gone_on_from() -> None:
    """There a generator's state has another form: dropout draws anew, and not what the beginning of the run drew."""
    run = begin(dropout=0.5)
    train(run, 2)
    state = run.state_dict() | {"device": "cuda"}
    gone_on = [begin(dropout=0.5), begin(dropout=0.5)]
    for other in gone_on:
        other.load_state_dict(state)
    one, same = (train(other) for other in gone_on)
    assert [item.step for item in one] == [3, 4]
    assert one == same
    assert one != train(run)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
@pytest.mark.parametrize("schedule", ["one-cycle", "cyclical"])
def test_where_momentum_is_cycled_the_parameter_of_that_name_means_nothing(optimizer: str, schedule: str) -> None:
    without, much = (
        begin(optimizer=optimizer, schedule=schedule, nesterov=optimizer == "sgd", learning_rate=RATE, momentum=momentum)
        for momentum in (0.0, 0.9)
    )
    assert train(without) == train(much)


def test_early_stopping_ends_the_run_with_the_weights_of_its_best_step() -> None:
    run = begin(early_stopping_patience=2, learning_rate=0.2, epochs=40, batch_size=64)
    measurements = train(run)
    losses = [measurement.metrics["validation_loss"] for measurement in measurements]
    best = min(range(len(losses)), key=losses.__getitem__) + 1
    assert len(measurements) == best + 2 < 40
    assert [measurement.best_step for measurement in measurements[best - 1 :]] == [None, best, best]
    run_to_best = begin(learning_rate=0.2, epochs=40, batch_size=64)
    train(run_to_best, best)
    assert torch.equal(weights_of(run), weights_of(run_to_best))
    assert run.evaluate() == run_to_best.evaluate()


def test_a_run_without_early_stopping_keeps_its_last_weights() -> None:
    assert {measurement.best_step for measurement in train(begin(learning_rate=0.2))} == {None}


def test_a_diverged_run_ends_at_once() -> None:
    *_, last = train(begin(learning_rate=1e6, epochs=10))
    assert last.step == 1
    assert last.divergence is not None


@pytest.mark.parametrize("initialization", ["he-normal", "xavier-uniform", "orthogonal"])
def test_an_untrained_network_that_is_worse_than_guessing_has_not_diverged(initialization: str) -> None:
    *_, last = train(begin(loss="mse", zero_output=False, learning_rate=1e-4, initialization=initialization))
    assert (last.step, last.divergence) == (EPOCHS, None)


@pytest.mark.parametrize("microbatch_size", [1, 50, 100, 255, 256, 1000])
def test_accumulated_gradients_give_the_weights_of_whole_batches(microbatch_size: int) -> None:
    """Which are means over the batch: summed in another order they are off by at most a rounding for each example.

    With tanh: a rectifier whose input is zero but for rounding would let an example's gradient through or not.
    """
    whole, pieces = begin(activation="tanh"), begin({"microbatch_size": microbatch_size}, activation="tanh")
    started = weights_of(whole)
    for of_whole, of_pieces in zip(train(whole), train(pieces), strict=True):
        # A difference of two losses is rounded as they are; of what is counted, rounding may decide one or two.
        units = {
            "generalization_gap": BATCH * EPS * of_whole.metrics["training_loss"],
            "validation_accuracy": 2 / len(digits().validation),
            "dead_units": 2 / (128 + 128),
        }
        for name, value in of_whole.metrics.items():
            assert of_pieces.metrics[name] == pytest.approx(value, rel=BATCH * EPS, abs=units.get(name, 0.0)), name
    ended = weights_of(whole)
    assert_close(weights_of(pieces), ended, **roundings(BATCH, of=ended - started))


@pytest.mark.parametrize(("scaling", "times"), [("none", 1.0), ("linear", 8.0), ("sqrt", math.sqrt(8))])
def test_the_learning_rate_grows_with_the_batch_if_told_to(scaling: str, times: float) -> None:
    [first, *_] = train(begin(learning_rate=0.01, learning_rate_scaling=scaling))
    assert first.learning_rate == pytest.approx(0.01 * times)


def test_a_warm_up_before_a_scaled_rate_starts_from_the_rate_as_given() -> None:
    run = begin(learning_rate=0.01, learning_rate_scaling="linear", warmup_fraction=0.5)
    [first, second, *_] = train(run)
    assert [first.in_warmup, second.in_warmup] == [True, False]
    assert first.learning_rate == pytest.approx(0.01 + 0.07 * 4 / 8)
    assert second.learning_rate == pytest.approx(0.08)


def test_what_each_group_used_is_told() -> None:
    *_, last = train(begin(layer_decay=0.5, optimizer="adam", learning_rate=0.01))
    assert [(rate.group, rate.learning_rate, rate.momentum) for rate in last.group_rates] == [
        ("1", 0.0025, 0.9),
        ("3", 0.005, 0.9),
        ("5", 0.01, 0.9),
    ]


@pytest.mark.parametrize("group", ["lr", "momentum"])
def test_a_rate_that_somebody_changed_behind_the_policys_back_fails_the_run(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begin(schedule="cosine")
    train(run, 2)
    setting = updates.set_rates

    def tampered(optimizer: torch.optim.Optimizer, learning_rate: float, momentum: float | None) -> None:
        setting(optimizer, learning_rate, momentum)
        optimizer.param_groups[0][group] *= 0.9

    monkeypatch.setattr(updates, "set_rates", tampered)
    with pytest.raises(RateMismatch, match=r"^step 3 did not use the"):
        next(iter(run))


def test_at_most_a_thousand_losses_of_updates_are_told_evenly_over_the_run() -> None:
    measurements = train(begin(epochs=40, batch_size=32))
    told = [pair for measurement in measurements for pair in measurement.update_losses]
    assert len(told) == 660
    assert [update for update, _ in told[:3]] == [1, 3, 5]
    [first, *_] = train(begin(epochs=2, batch_size=256))
    assert first.metrics["training_loss"] == pytest.approx(sum(loss for _, loss in first.update_losses) / 4)


def test_the_measurements_agree_with_what_happened() -> None:
    *_, last = train(begin(clip_norm=0.1))
    assert last.metrics["generalization_gap"] == last.metrics["validation_loss"] - last.metrics["training_loss"]
    assert last.metrics["gradient_norm_max"] >= last.metrics["gradient_norm"] > 0.1
    assert last.metrics["clipped_share"] == 1.0
    assert 0 < last.metrics["update_to_weight_ratio"] < 0.1
    assert 0 < last.metrics["gradient_flow"] < 10
    assert 0 <= last.metrics["dead_units"] < 0.5


def test_half_precision_learns_too() -> None:
    *_, last = train(begin({"precision": "bfloat16"}, learning_rate=0.1))
    *_, whole = train(begin(learning_rate=0.1))
    assert last.metrics["validation_loss"] != whole.metrics["validation_loss"]
    assert last.metrics["validation_loss"] == pytest.approx(whole.metrics["validation_loss"], rel=0.2)


@pytest.mark.parametrize(
    ("settings", "params", "message"),
    [
        ({}, {"batch_size": 1078}, r"^batch_size 1078 exceeds the 1077 examples of the training set\.$"),
        (
            {"learning_rate_multipliers": {"body.*": 0.1}},
            {},
            r"^learning_rate_multipliers: no weight is called 'body\.\*'; the model has 1\.weight, 1\.bias, ",
        ),
        ({}, {"normalization": "batch", "batch_size": 1}, r"^batch norm needs at least 2 examples at once: "),
        ({"microbatch_size": 2}, {"normalization": "batch", "batch_size": 3}, r"^batch norm needs at least 2 examples at once: "),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(settings: dict[str, Any], params: dict[str, Any], message: str) -> None:
    with pytest.raises(DataProblem, match=message):
        begin(settings, **params)

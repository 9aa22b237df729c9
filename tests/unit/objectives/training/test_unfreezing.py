from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import schedulefree
import torch
from torch.nn.functional import cross_entropy, linear

from objectives.data.digits import digits
from objectives.training.generators import named_generator
from objectives.training.hypergradient import HypergradientAdam, HypergradientSGD
from objectives.training.optimizers import training_weights
from tests.unit.objectives.runs import BATCH, OPTIMIZERS, begin, train

LAYERS = ("1", "3", "5")
EVERY = {"unfreeze_every": 1, "epochs": 3}
RATE = 0.002


WRITTEN: dict[str, Callable[..., Any]] = {
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
    "adagrad": partial(torch.optim.Adagrad, eps=1e-8, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, momentum=0.9),
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "schedule-free-sgd": partial(schedulefree.SGDScheduleFree, momentum=0.9),
    "schedule-free-adamw": schedulefree.AdamWScheduleFree,
    "hypergradient-sgd": partial(HypergradientSGD, momentum=0.9, hypergradient_rate=0.02),
    "hypergradient-adam": partial(HypergradientAdam, betas=(0.9, 0.999), eps=1e-8, hypergradient_rate=0.02),
}


def written(optimizer: str, start: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights at the end of the run, with an optimizer to which a layer is added when it is unfrozen."""
    data = digits().training
    weights = {name: values.clone().requires_grad_() for name, values in start.items()}
    layers = [[weights[f"{layer}.weight"], weights[f"{layer}.bias"]] for layer in reversed(LAYERS)]
    stepping = WRITTEN[optimizer]([{"params": layers[0]}], lr=RATE, weight_decay=0.1)
    order = named_generator(0, "data order")
    for epoch in range(3):
        if epoch > 0:
            stepping.add_param_group({"params": layers[epoch]})
        with training_weights(stepping):
            for batch in torch.randperm(len(data), generator=order)[: len(data) // BATCH * BATCH].split(BATCH):
                hidden = data.inputs[batch].flatten(1)
                for layer in LAYERS:
                    hidden = linear(hidden, weights[f"{layer}.weight"], weights[f"{layer}.bias"])
                    hidden = hidden if layer == LAYERS[-1] else hidden.relu()
                stepping.zero_grad()
                cross_entropy(hidden, data.targets[batch]).backward()
                stepping.step()
    return weights


def test_an_optimizer_is_compared_unless_it_has_one_state_for_all_layers() -> None:
    assert set(OPTIMIZERS) - set(WRITTEN) == {"prodigy"}


@pytest.mark.parametrize("optimizer", WRITTEN)
def test_a_layers_optimizer_begins_when_the_layer_is_unfrozen(optimizer: str) -> None:
    run = begin(optimizer=optimizer, learning_rate=RATE, weight_decay=0.1, **EVERY)
    expected = written(optimizer, run.state_dict()["model"])
    train(run)
    for name, weights in run.state_dict()["model"].items():
        assert torch.equal(weights, expected[name]), name


@pytest.mark.parametrize("optimizer", ["adamw", "prodigy"])
def test_a_frozen_layer_does_not_move_and_its_rate_is_zero(optimizer: str) -> None:
    run = begin(optimizer=optimizer, schedule="one-cycle", weight_decay=0.1, **EVERY)
    before = run.state_dict()["model"]
    for frozen in (LAYERS[:2], LAYERS[:1], ()):
        (measured,) = train(run, 1)
        rates = {rate.group: rate.learning_rate for rate in measured.group_rates}
        assert rates == {layer: 0.0 if layer in frozen else measured.learning_rate for layer in LAYERS}
        moved = {name.partition(".")[0] for name, weights in run.state_dict()["model"].items() if not weights.equal(before[name])}
        assert moved == set(LAYERS) - set(frozen)
        assert {name for name in measured.metrics if name.startswith("effective_rate/")} == {
            f"effective_rate/{layer}" for layer in LAYERS if layer not in frozen
        }


@pytest.mark.parametrize(
    ("unfreeze_every", "epochs", "said"),
    [
        (2, 4, "unfreeze_every is 2: not trained within 4 epochs are 1; up to 1, all layers are."),
        (9, 7, "unfreeze_every is 9: not trained within 7 epochs are 1, 3; up to 3, all layers are."),
        (1, 2, "unfreeze_every is 1: not trained within 2 epochs are 1; at 1, all layers are in 3 epochs."),
        (1, 3, ""),
        (3, 7, ""),
        (0, 1, ""),
    ],
)
def test_the_log_names_layers_that_are_never_trained(
    unfreeze_every: int, epochs: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(unfreeze_every=unfreeze_every, epochs=epochs)
    assert capsys.readouterr().out.strip() == said


def test_a_run_that_goes_back_to_a_checkpoint_freezes_again() -> None:
    run = begin(**EVERY)
    train(run, 1)
    state = run.state_dict()
    expected = train(run)
    run.load_state_dict(state)
    assert train(run) == expected

"""A number that 32-bit floats cannot hold has diverged, whatever the optimizer, and is no error."""

from typing import Any

import pytest

from objectives.contract import DataProblem, Divergence
from objectives.parameters.choices import OPTIMIZERS
from objectives.training.updates import LARGEST
from tests.unit.objectives.runs import EPOCHS, PAIRS, begin, train

ABOVE = (3.5e38, 1e39, 1e300, 1.7e308)
ADAPTIVE = [optimizer for optimizer in OPTIMIZERS if not optimizer.endswith("sgd")]


def divergence_of(settings: dict[str, Any] | None = None, **params: Any) -> Divergence | None:
    measured = train(begin(settings, **params))
    assert all(each.divergence is None for each in measured[:-1])
    return measured[-1].divergence


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "clip_value", "clip_norm"])
@pytest.mark.parametrize("value", ABOVE)
def test_a_parameter_beyond_32_bits_has_diverged(optimizer: str, name: str, value: float) -> None:
    found = divergence_of(optimizer=optimizer, **{name: value})
    said = f"{name} was {value:.3g}, above the largest 32-bit float, 3.4e+38, at update 1 of epoch 1"
    assert found == Divergence(reason=said, update=1, fraction=1 / (EPOCHS * 4))


@pytest.mark.parametrize("optimizer", ADAPTIVE)
def test_so_it_is_with_what_only_some_optimizers_have(optimizer: str) -> None:
    found = divergence_of(optimizer=optimizer, eps=1e39)
    assert found is not None
    assert found.reason.startswith("eps was 1e+39")
    found = divergence_of(optimizer="sgd", learning_rate=1e-3, eps=1e39)  # it has none
    assert found is None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_product_of_rates_beyond_32_bits_has_diverged(optimizer: str) -> None:
    scaled = {"learning_rate_scaling": "linear", "reference_batch_size": 1}
    for rate in (1e38, 1.7e308):  # the product of the latter is infinite
        assert divergence_of(optimizer=optimizer, learning_rate=rate, **scaled) is not None
    for name in ("*",) if optimizer == "prodigy" else ("*", "*bias"):
        found = divergence_of({"learning_rate_multipliers": {name: 1e300}}, optimizer=optimizer, learning_rate=0.01)
        assert found is not None
        assert found.reason.startswith("learning_rate was 1e+298")


@pytest.mark.parametrize(("optimizer", "schedule"), PAIRS)
@pytest.mark.parametrize("rate", [1e39, 1.7e308])
def test_no_schedule_makes_an_error_of_it(optimizer: str, schedule: str, rate: float) -> None:
    assert divergence_of(schedule=schedule, optimizer=optimizer, learning_rate=rate) is not None
    assert divergence_of(schedule=schedule, optimizer=optimizer, learning_rate=rate, warmup_fraction=0.5) is not None


@pytest.mark.parametrize(
    "params",
    [
        {"clip_norm": LARGEST},
        {"clip_value": LARGEST},
        {"schedule": "one-cycle", "div_factor": 1e300, "final_div_factor": 1e300},
        {"schedule": "polynomial", "power": 1e300},
        {"schedule": "cosine-restarts", "restart_factor": 2**62},
        {"schedule": "step", "step_size": 2**62},
        {"early_stopping_patience": 2**62},
        {"eps": 1e38, "optimizer": "adam"},
        {"learning_rate": 5e-324},
    ],
    ids=str,
)
def test_a_large_number_that_the_updates_can_hold_is_trained_with(params: dict[str, Any]) -> None:
    assert divergence_of(**params) is None


def test_a_batch_larger_than_any_data_is_refused_in_words() -> None:
    with pytest.raises(DataProblem, match=r"batch_size 9007199254740992 exceeds the 1077 examples"):
        begin(batch_size=2**53)

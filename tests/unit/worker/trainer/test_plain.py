"""What objectives measure, in plain values, whatever types it came in."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from objectives.contract import Measurement
from service.worker.trainer.plain import BadMeasurement, numbers, plain

ONE = Measurement(step=1, fraction=1.0, in_warmup=False, metrics={}, learning_rate=0.1, seconds=0.0)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.bool_(False), 0.0),
        (np.array(0.5), 0.5),
        (np.array([[0.5]]), 0.5),
        (torch.tensor(0.5), 0.5),
        (torch.tensor([0.5], requires_grad=True), 0.5),
        (torch.tensor(0.5).bfloat16(), 0.5),
        (Fraction(1, 2), 0.5),
        (-math.inf, -math.inf),
        (10**400, math.inf),
        (-(10**400), -math.inf),
    ],
    ids=repr,
)
def test_a_number_of_any_library_is_a_number(value: Any, number: float) -> None:
    measured = plain(replace(ONE, metrics={"loss": value}, seconds=value)).metrics
    assert measured == {"loss": number}
    assert type(measured["loss"]) is float


@pytest.mark.parametrize("value", [math.nan, np.float64("nan"), torch.tensor(math.nan)], ids=repr)
def test_what_is_not_a_number_stays_so(value: Any) -> None:
    assert math.isnan(plain(replace(ONE, metrics={"loss": value})).metrics["loss"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0.5", "'0.5', which is text: it must be a number"),
        (np.str_("0.5"), "which is text"),
        (None, "None: it must be one number"),
        (1j, "1j: it must be one number"),
        (torch.ones(2), "tensor([1., 1.]): it must be one number"),
        (np.ones(2), "array([1., 1.]): it must be one number"),
        ([0.5], "[0.5]: it must be one number"),
        ([0.5] * 99, "...: it must be one number"),
    ],
)
def test_what_is_no_number_is_named_with_its_metric(value: Any, said: str) -> None:
    with pytest.raises(BadMeasurement) as refused:
        plain(replace(ONE, metrics={"accuracy": 1.0, "loss": value}))
    assert str(refused.value).startswith("step 1 measured the loss ")
    assert str(refused.value).endswith(said) or said in str(refused.value)


@pytest.mark.parametrize("step", [3, 3.0, np.int64(3), torch.tensor(3)], ids=repr)
def test_a_step_is_a_whole_number_of_any_library(step: Any) -> None:
    assert plain(replace(ONE, step=step)).step == 3


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda: (1, 0.5), "the run yielded a tuple: it must yield objectives.contract.Measurement"),
        (lambda: {"loss": 0.5}, "the run yielded a dict"),
        (lambda: replace(ONE, step=1.5), "a run measured step 1.5: steps are whole numbers, counted from 1"),
        (lambda: replace(ONE, step="1"), "a run measured step '1': steps are whole numbers"),  # type: ignore[arg-type]
        (lambda: replace(ONE, fraction=None), "step 1 has the fraction None"),  # type: ignore[arg-type]
        (lambda: replace(ONE, learning_rate="0.1"), "step 1 has the learning_rate '0.1', which is text"),  # type: ignore[arg-type]
        (lambda: replace(ONE, metrics=[0.5]), "step 1 measured a list: it must be a dictionary"),  # type: ignore[arg-type]
        (lambda: replace(ONE, metrics={1: 0.5}), "step 1 measured 1, a name that is no text"),  # type: ignore[dict-item]
    ],
)
def test_what_is_no_measurement_is_named(spoil: Callable[[], Any], said: str) -> None:
    with pytest.raises(BadMeasurement) as refused:
        plain(spoil())
    assert str(refused.value).startswith(said)


def test_no_test_metrics_are_none() -> None:
    assert numbers("evaluate()", None) == {}

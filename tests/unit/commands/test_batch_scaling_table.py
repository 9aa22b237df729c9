from typing import Any

import pytest

from service.commands.batch_scaling import in_words
from service.commands.tables import console
from service.domain.answer import BatchScalingView

SIZE: dict[str, Any] = {
    **{"batch_size": 16, "trials": 9, "learning_rate": 0.1, "interval": {"low": 0.05, "high": 0.2}},
    "expected": {"mean": 0.3, "low": 0.2, "high": 0.4},
}
FOUND: dict[str, Any] = {
    **{"job": "8d8a199b-1d62-4654-a5f0-e5312a20323e", "training_seed": None, "power": 0.9, "linear": True, "square_root": False},
    **{"interval": {"low": 0.8, "high": 1.1}, "because": "the best rate grows", "by_batch_size": [SIZE], "fitted_to": [16, 64]},
    "prediction": None,
}
PREDICTED = {"batch_size": 128, "learning_rate": 0.8, "interval": {"low": 0.4, "high": 1.6}, "advice": "warm up"}


def said(capsys: pytest.CaptureFixture[str], **fields: Any) -> list[str]:
    console().print(in_words(BatchScalingView.model_validate(FOUND | fields)))
    return [line for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_the_power_is_a_sentence_and_each_batch_size_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    sentence, _, _, row, fitted = said(capsys)
    assert sentence == "The best rate grows."
    assert row.split() == ["16", "9", "0.1", "0.05", "to", "0.2", "0.3"]
    assert fitted.startswith("The power is fitted to batch sizes 16, 64, ")


def test_a_prediction_comes_last_with_its_interval_and_advice(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, prediction=PREDICTED)
    assert shown[-1] == "For batch size 128: learning rate 0.8, 0.4 to 1.6 with 90%; warm up."

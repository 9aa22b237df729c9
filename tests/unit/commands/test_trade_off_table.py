from typing import Any

import pytest

from service.commands.tables import console
from service.commands.trade_off import in_words
from service.domain.comparison import TradeOffView

BEST: dict[str, Any] = {
    **{"learning_rate": 0.1, "params": {"learning_rate": 0.1, "batch_size": 8, "epochs": 4}, "trials": [3, 5], "diverged": 1},
    **{"final": {"mean": 0.5, "low": 0.4, "high": 0.6, "sd": 0.1}, "reached": 2, "steps": 2.5, "seconds": None},
}
FOUND: dict[str, Any] = {
    **{"job": "8d8a199b-1d62-4654-a5f0-e5312a20323e", "metric": "loss", "target": 0.55, "why_this_target": "as asked for"},
    **{"by": "steps", "front": [BEST], "others": [], "left_out": 0},
}


def said(capsys: pytest.CaptureFixture[str], **fields: Any) -> list[str]:
    console().print(in_words(TradeOffView.model_validate(FOUND | fields), {"batch_size"}))
    return [line for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_the_front_has_its_speed_its_value_and_the_spread_over_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    target, front, _, _, row = said(capsys)
    assert target == "To a loss of 0.55: as asked for."
    assert front == "None is better in both steps and final loss than these:"
    assert [cell.strip() for cell in row.split("   ") if cell.strip()] == [
        *("0.1", "batch_size=8", "2.5", "-", "0.5", "0.4 to 0.6", "2 of 2", "1"),
    ]


def test_of_many_others_the_best_are_shown_and_the_rest_counted(capsys: pytest.CaptureFixture[str]) -> None:
    one = BEST | {"trials": [1], "reached": 0, "steps": None}
    shown = said(capsys, front=[], others=[one] * 12, left_out=3)
    assert shown[1] == "No configuration reaches it with all its seeds."
    assert sum("0 of 1" in line for line in shown) == 10
    assert shown[-1] == "5 configurations are not shown; --json has up to 200 of the others."

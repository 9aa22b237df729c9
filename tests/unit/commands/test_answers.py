"""What `stride best-lr` says."""

from typing import Any

import pytest

from service.commands.answers import in_words
from service.commands.tables import console
from tests.unit.commands.test_chart import answer as curve_of

SPEC = {"search_space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}}
INTERVAL = {"level": 0.9, "low": 0.011, "high": 0.043}
EVIDENCE = {"trials": 64, "infeasible": 7, "pruned": 20, "seeds": 3}
ANSWER: dict[str, Any] = curve_of([2.0, 1.0, 0.5, 1.0, 2.0]) | {
    "learning_rate": 0.0213456,
    "metric": "validation_loss",
    "params": {},
    "interval": INTERVAL,
    "safe_range": {"tolerance": 0.02, "low": 0.0081, "high": 0.092},
    "expected": {"mean": 0.0841, "low": 0.081, "high": 0.0877},
    "divergence_edge": {"at": 0.61, "low": 0.55, "high": 0.72},
    "evidence": EVIDENCE,
    "best_trial": {"number": 41, "value": 0.0812, "params": {"learning_rate": 0.025}},
    "by_batch_size": [
        {
            "batch_size": 16,
            "trials": 9,
            "learning_rate": 0.01,
            "interval": INTERVAL,
            "expected": {"mean": 0.09, "low": 0.08, "high": 0.1},
        }
    ],
    "verdict": "confident",
    "because": "it is so",
}


def said(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    out = console()
    out.print(in_words(ANSWER | changes, SPEC, out))
    return capsys.readouterr().out


def test_it_says_the_answer_as_a_person_would(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    assert lines[:6] == [
        "Learning rate 0.02135; the best one lies between 0.011 and 0.043 (90%)",
        "From 0.0081 to 0.092 you can expect to lose no more than 0.02 of validation_loss.",
        "From about 0.61 on (0.55 to 0.72) half of all trials diverge.",
        "Expect a validation_loss of 0.0841 (0.081 to 0.0877).",
        "The best validation_loss was 0.0812 in trial 41: learning_rate=0.025.",
        "This rests on 64 trials (7 diverged, 20 pruned) and 3 training seeds.",
    ]
    assert lines[-1] == "confident: it is so."


@pytest.mark.parametrize(
    ("trials", "seeds", "rests_on"),
    [
        (4, 4, "4 trials"),
        (1, 1, "1 trial"),
        (24, 3, "24 trials and 3 training seeds"),
        (24, 1, "24 trials and one training seed"),
    ],
)
def test_it_names_the_training_seeds_where_trials_share_them(
    capsys: pytest.CaptureFixture[str], trials: int, seeds: int, rests_on: str
) -> None:
    evidence = {"trials": trials, "infeasible": 0, "pruned": 0, "seeds": seeds}
    assert f"This rests on {rests_on}.\n" in said(capsys, evidence=evidence)


def test_it_names_what_else_was_searched_and_goes_with_the_rate(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, params={"batch_size": 32, "momentum": 0.917})
    assert text.startswith("Learning rate 0.02135 with batch_size=32 momentum=0.917; the best one lies between")


def test_what_would_steer_the_terminal_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b" not in said(capsys, params={"optimizer": "sgd\x1b]0;hello\x07"})


def test_it_draws_the_curve_and_tells_by_batch_size(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys)
    assert "expected validation_loss by learning rate" in text
    assert "●" in text
    assert "▲" in text
    assert "batch size" in text
    assert "0.011 to 0.043" in text


def test_with_too_few_trials_there_is_the_best_trial_and_no_chart(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = dict.fromkeys(("interval", "safe_range", "expected", "divergence_edge"))
    text = said(capsys, **nothing, curve=[], by_batch_size=[], verdict="needs more trials")
    assert text.splitlines()[0] == "Learning rate 0.02135, that of the best trial"
    assert "●" not in text


def test_where_all_diverged_there_is_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = dict.fromkeys(("learning_rate", "interval", "safe_range", "expected", "divergence_edge", "best_trial"))
    text = said(capsys, **nothing, curve=[], by_batch_size=[], verdict="all diverged", because="every rate tried diverged")
    assert text.splitlines()[0] == "No learning rate can be told."
    assert text.splitlines()[-1] == "all diverged: every rate tried diverged."

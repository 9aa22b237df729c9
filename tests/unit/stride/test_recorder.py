"""The search space of an Optuna objective, as it is found by asking it; and the same objective with Optuna's own trial."""

import sys
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from stride.declaration import original
from stride.recorder import ChangingSpace, record
from stride.suggestions import Suggestions, described

LR = {"type": "float", "low": 1e-5, "high": 0.1, "log": True}


def every_kind(trial: Any) -> float:
    trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    trial.suggest_float("dropout", 0, 1)
    trial.suggest_float("mixing", 0.0, 0.5, step=0.1)
    trial.suggest_int("layers", 1, 5)
    trial.suggest_int("width", 16, 128, step=16)
    trial.suggest_int("units", 1, 1000, log=True)
    trial.suggest_categorical("act", ["relu", None, 3])
    with optuna_warnings():
        trial.suggest_uniform("u", 0, 1)
        trial.suggest_loguniform("lu", 0.1, 1)
        trial.suggest_discrete_uniform("du", 0, 1, 0.25)
    trial.report(0.5, 0)
    raise AssertionError("it was asked to train on")


class optuna_warnings:
    """Optuna's own say that the old names will go."""

    def __enter__(self) -> None:
        import warnings

        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *raised: object) -> None:
        self._caught.__exit__(None, None, None)


def test_all_kinds_of_ranges_are_found() -> None:
    assert record(every_kind) == {
        "lr": LR,
        "dropout": {"type": "float", "low": 0.0, "high": 1.0, "log": False},
        "mixing": {"type": "float", "low": 0.0, "high": 0.5, "log": False, "step": 0.1},
        "layers": {"type": "int", "low": 1, "high": 5, "log": False},
        "width": {"type": "int", "low": 16, "high": 128, "log": False, "step": 16},
        "units": {"type": "int", "low": 1, "high": 1000, "log": True},
        "act": {"type": "categorical", "choices": ["relu", None, 3]},
        "u": {"type": "float", "low": 0.0, "high": 1.0, "log": False},
        "lu": {"type": "float", "low": 0.1, "high": 1.0, "log": True},
        "du": {"type": "float", "low": 0.0, "high": 1.0, "log": False, "step": 0.25},
    }


def test_every_suggestion_of_optunas_trial_is_there_with_the_same_arguments() -> None:
    import inspect

    for name in (name for name in vars(optuna.trial.Trial) if name.startswith("suggest_")):
        ours, theirs = inspect.signature(getattr(Suggestions, name)), inspect.signature(getattr(optuna.trial.Trial, name))
        assert [(each.name, each.kind, each.default) for each in ours.parameters.values()] == [
            (each.name, each.kind, each.default) for each in theirs.parameters.values()
        ]


def test_the_values_lie_in_the_ranges_and_on_their_steps() -> None:
    seen: list[tuple[float, int, int, int]] = []

    def objective(trial: Any) -> float:
        mixing, width = trial.suggest_float("mixing", 0.0, 0.5, step=0.1), trial.suggest_int("width", 16, 128, step=16)
        seen.append((mixing, width, trial.suggest_int("units", 1, 3, log=True), trial.suggest_categorical("c", list(range(9)))))
        return 0.0

    record(objective)
    for mixing, width, units, _ in seen:
        assert 0 <= mixing <= 0.5
        assert mixing / 0.1 == pytest.approx(round(mixing / 0.1))
        assert (width % 16, 16 <= width <= 128, 1 <= units <= 3) == (0, True, True)
    assert len({choice for *_, choice in seen}) == 8, "each time another one, at most 8 times"


def test_the_same_parameter_may_be_suggested_twice() -> None:
    def objective(trial: Any) -> float:
        assert trial.suggest_float("lr", 1e-5, 0.1, log=True) == trial.suggest_float("lr", 1e-5, 0.1, log=True)
        return 0.0

    assert record(objective) == {"lr": LR}


def by_choice(trial: Any) -> float:
    if trial.suggest_categorical("optimizer", ["sgd", "adam", "rmsprop"]) == "adam":
        trial.suggest_float("beta", 0.8, 0.9)
    return 0.0


def by_another_range(trial: Any) -> float:
    trial.suggest_float("lr", 0.1, 1.0 if trial.suggest_categorical("deep", [True, False]) else 2.0)
    return 0.0


def by_value(trial: Any) -> float:
    if trial.suggest_float("x", 0, 1) > 0.8:
        trial.suggest_int("y", 1, 2)
    return 0.0


def at_once(trial: Any) -> float:
    trial.suggest_float("lr", 0.1, 1.0)
    trial.suggest_float("lr", 0.1, 2.0)
    return 0.0


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (by_choice, "beta differently for other values, "),
        (by_another_range, "lr differently for other values, "),
        (by_value, "y differently for other values, whole numbers from 1 to 2 and not at all"),
        (at_once, "lr with two ranges, 0.1 to 1 and 0.1 to 2"),
    ],
)
def test_a_space_that_changes_is_refused_with_both_ranges(objective: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(ChangingSpace) as raised:
        record(objective)
    assert f"it suggests {says}" in str(raised.value)


def test_a_bare_except_does_not_keep_it_from_ending_and_a_slow_one_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stride.recorder.QUICK_S", -1.0)
    asked = []

    def objective(trial: Any) -> float:
        asked.append(trial.suggest_float("lr", 1e-5, 0.1, log=True))
        for step in range(3):
            try:
                trial.report(0.0, step)
            except Exception:
                pytest.fail("it is no Exception")
        return 0.0

    assert record(objective) == {"lr": LR}
    assert len(asked) == 1


def test_what_it_raises_is_raised_the_first_time_and_its_own_pruning_is_not() -> None:
    def raises(trial: Any) -> float:
        trial.suggest_float("lr", 1e-5, 0.1, log=True)
        raise ValueError("no data")

    def prunes(trial: Any) -> float:
        trial.suggest_float("lr", 1e-5, 0.1, log=True)
        raise optuna.TrialPruned

    with pytest.raises(ValueError, match="no data"):
        record(raises)
    assert record(prunes) == {"lr": LR}


def test_what_the_stand_in_lacks_is_said() -> None:
    with pytest.raises(AttributeError, match=r"has no 'study'; it has suggest_\*, report, should_prune"):
        record(lambda trial: trial.study.trials)


@pytest.mark.parametrize(
    ("choices", "value", "wanted"),
    [
        ([16, 32], 32, 32),
        ([1, 2.5], 1.0, 1),
        (["a", None], "None", None),
        ([True, "True"], "True", "True"),
        ([True, 1], True, True),
        (["3", 3], "3", "3"),
        ([(1, 2), (3, 4)], "(3, 4)", (3, 4)),
        (["a"], "b", "b"),
    ],
)
def test_choices_are_found_again_by_what_stands_for_them(choices: list[Any], value: Any, wanted: Any) -> None:
    found = original(choices, value)
    assert (found, type(found)) == (wanted, type(wanted))


def test_ranges_in_words() -> None:
    assert described(LR) == "1e-05 to 0.1 on a logarithmic scale"
    assert described({"type": "categorical", "choices": ["a", None]}) == "one of 'a', None"
    assert "optuna" in sys.modules

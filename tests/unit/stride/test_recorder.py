"""The search space of an Optuna objective, as it is found by asking it; and the same objective with Optuna's own trial."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import optuna
import pytest

from stride.declaration import original
from stride.optuna_trial import ContradictsSpace
from stride.recorder import ChangingSpace, check, record
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


def test_its_own_handlers_do_not_keep_it_from_ending_and_it_is_asked_once_where_there_is_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stride.recorder.FURTHER_S", -1.0)
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


def conditional(trial: Any) -> float:
    if trial.suggest_categorical("optimizer", ["sgd", "adam"]) == "sgd":
        trial.suggest_float("momentum", 0.0, 0.99)
    trial.suggest_float("lr", 1e-5, 0.1, log=True)
    trial.report(0.0, 0)
    return 0.0


STATED = {
    "lr": {"type": "float", "low": 1e-4, "high": 0.01, "log": True},
    "optimizer": {"type": "categorical", "choices": ["sgd", "adam"]},
    "momentum": 0.9,
}


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (STATED, None),
        (STATED | {"optimizer": "adam"}, None),
        (
            {name: STATED[name] for name in ("lr", "optimizer")},
            "the objective suggests 'momentum', which is not in the job's search space; it has lr, optimizer",
        ),
        (STATED | {"lr": 1.0}, "the job gives lr the value 1.0, which lies outside: the objective suggests 1e-05 to 0.1"),
        (STATED | {"optimizer": {"type": "categorical", "choices": ["adam", "lion"]}}, "the value 'lion', which is none of the"),
    ],
)
def test_a_space_that_was_stated_is_tried(stated: dict[str, Any], says: str | None) -> None:
    if says is None:
        return check(conditional, stated)
    with pytest.raises(ContradictsSpace) as raised:
        check(conditional, stated)
    assert says in str(raised.value)
    return None


def trains(asked: list[float], seconds: float) -> Callable[[Any], float]:
    """An objective that trains for this long and reports nothing, and notes how long it did."""

    def objective(trial: Any) -> float:
        trial.suggest_float("lr", 1e-5, 0.1, log=True)
        began = time.monotonic()
        try:
            while time.monotonic() - began < seconds:
                with suppress(Exception):
                    time.sleep(0.01)
        finally:
            asked.append(time.monotonic() - began)
        return 0.0

    return objective


def test_a_training_without_reports_is_whole_once_and_other_values_are_tried_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stride.recorder.FURTHER_S", 0.2)
    asked: list[float] = []
    assert record(trains(asked, 0.5)) == {"lr": LR}
    first, second = asked
    assert first >= 0.5
    assert second < 0.4


def test_a_training_without_reports_that_takes_long_is_not_whole_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stride.recorder.SILENT_S", 0.2)
    asked: list[float] = []
    assert record(trains(asked, 20.0)) == {"lr": LR}
    [only] = asked
    assert only < 10.0


def test_a_space_that_changes_is_found_though_the_training_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stride.recorder.FURTHER_S", 0.5)
    calls: list[Any] = []

    def objective(trial: Any) -> float:
        by_another_range(trial)
        calls.append(trial)
        if len(calls) > 1:
            time.sleep(20.0)
        return 0.0

    with pytest.raises(ChangingSpace, match=r"0\.1 to 1 and 0\.1 to 2|0\.1 to 2 and 0\.1 to 1"):
        record(objective)
    assert len(calls) == 2

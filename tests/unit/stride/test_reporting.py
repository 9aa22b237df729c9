"""What a run tells whoever listens, and what it gets when it is gone on with."""

from typing import Any

import pytest

from stride.reporting import NOTHING_SAVED, Encode, NoState, Reports, Stopped
from stride.trial import Trial


class Recorded:
    """Listens, takes the state of every step, and has the run stop after `most` steps."""

    def __init__(self, saved: bytes = b"", most: int = 100) -> None:
        self.heard: list[dict[str, Any]] = []
        self.states: list[bytes | str] = []
        self._saved = saved
        self._most = most

    def saved(self) -> bytes:
        return self._saved

    def hear(self, report: dict[str, Any], encode: Encode) -> bool:
        self.heard.append(report)
        try:
            self.states.append(encode(None))
        except NoState as flaw:
            self.states.append(str(flaw))
        return len(self.heard) >= self._most


class Counter:
    def __init__(self) -> None:
        self.n = 0

    def state_dict(self) -> dict[str, int]:
        return {"n": self.n}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.n = state["n"]


def trial_heard_by(listener: Recorded) -> Trial:
    return Trial(Reports(listener), "loss", {}, 0, "cpu", 0)


def test_a_run_goes_on_from_what_another_listener_has_taken() -> None:
    first, counter = Recorded(most=2), Counter()
    trial = trial_heard_by(first)
    for step in trial.steps(5, counter):
        counter.n += 1
        trial.set_user_attr("noted", step)
        trial.set_user_attr("only then", {"size": 1.5})
        trial.report(loss=1.0)
    assert [report["step"] for report in first.heard] == [1, 2]
    assert isinstance(first.states[0], bytes)
    again, counter = Recorded(first.states[0]), Counter()
    trial = trial_heard_by(again)
    trial.set_user_attr("noted", "before it goes on")
    for _ in trial.steps(5, counter):
        counter.n += 1
        trial.report(loss=float(counter.n))
    trial._reports.end()
    assert again.heard[-1]["attributes"] == {"noted": "before it goes on", "only then": {"size": 1.5}}
    assert [(report["step"], report["metrics"]["loss"]) for report in again.heard] == [(2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0)]


def test_a_step_that_was_left_is_told_as_such() -> None:
    listener = Recorded()
    trial = trial_heard_by(listener)
    for step in trial.steps(5, Counter()):
        trial.report(loss=1.0)
        if step == 1:
            break
    trial.report(loss=0.5)
    assert [(report["step"], report["is_leaving"]) for report in listener.heard] == [(1, False), (2, True), (3, False)]


def test_a_run_that_was_told_to_stop_is_ended_by_its_next_report() -> None:
    trial = trial_heard_by(Recorded(most=1))
    assert trial.report(loss=1.0)
    with pytest.raises(Stopped):
        trial.report(loss=1.0)


def test_a_listener_is_told_why_there_is_no_state() -> None:
    listener = Recorded()
    trial = trial_heard_by(listener)
    trial.report(loss=1.0)
    trial.save({"model": object()})
    trial.report(loss=1.0)
    trial.report(loss=1.0)
    assert listener.states[0] == NOTHING_SAVED
    assert "a value of type object" in str(listener.states[1])
    assert listener.states[2] == ""  # it may have been saved for another step

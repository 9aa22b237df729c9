import copy

import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.search.sampling_view import NEW_TRIAL_ID, STUDY_ID, SamplingView

RATE = FloatDistribution(0.0, 1.0)


def finished(number: int) -> FrozenTrial:
    trial = create_trial(value=float(number), params={"x": 0.5}, distributions={"x": RATE})
    trial.number, trial._trial_id = number, 100 + number
    return trial


def enqueued(number: int) -> FrozenTrial:
    trial = create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"x": 0.1}})
    trial.number, trial._trial_id = number, 100 + number
    return trial


def view(own: FrozenTrial | None = None) -> SamplingView:
    trials = [finished(0), finished(1), finished(3)]
    return SamplingView(name="study", direction="maximize", trials=trials, next_number=4, study_attrs={"a": 1}, own=own)


def test_it_shows_the_study_and_its_trials() -> None:
    shown = view()
    assert shown.get_study_id_from_name("study") == STUDY_ID
    assert shown.get_study_name_from_id(STUDY_ID) == "study"
    assert shown.get_study_directions(STUDY_ID) == [StudyDirection.MAXIMIZE]
    assert shown.get_study_system_attrs(STUDY_ID) == {"a": 1}
    assert shown.get_study_user_attrs(STUDY_ID) == {}
    assert [study.study_name for study in shown.get_all_studies()] == ["study"]
    assert [trial.number for trial in shown.get_all_trials(STUDY_ID)] == [0, 1, 3]
    assert shown.get_trial(103).number == 3


def test_other_studies_and_trials_are_unknown() -> None:
    shown = view()
    for ask in (
        lambda: shown.get_study_id_from_name("other"),
        lambda: shown.get_study_name_from_id(1),
        lambda: shown.get_all_trials(1),
        lambda: shown.get_trial(7),
        lambda: shown.get_trial(NEW_TRIAL_ID),
        lambda: shown.set_trial_system_attr(100, "a", 1),
        lambda: shown.set_trial_param(100, "x", 0.5, RATE),
    ):
        with pytest.raises(KeyError):
            ask()


def test_a_new_trial_has_the_next_number_and_collects_what_is_written() -> None:
    shown = view()
    assert shown.create_new_trial(STUDY_ID) == NEW_TRIAL_ID
    shown.set_trial_param(NEW_TRIAL_ID, "x", 0.25, RATE)
    shown.set_trial_system_attr(NEW_TRIAL_ID, "rung", 1)
    shown.set_study_system_attr(STUDY_ID, "qmc", 2)
    assert shown.own is not None
    assert (shown.own.number, shown.own.state, shown.own.params) == (4, TrialState.RUNNING, {"x": 0.25})
    assert shown.written_trial_attrs == {"rung": 1}
    assert shown.written_study_attrs == {"qmc": 2}
    assert shown.get_study_system_attrs(STUDY_ID) == {"a": 1, "qmc": 2}


def test_an_enqueued_trial_stands_among_the_others_in_the_order_of_numbers() -> None:
    shown = view(own=enqueued(2))
    assert [trial.number for trial in shown.get_all_trials(STUDY_ID)] == [0, 1, 2, 3]
    assert [trial.number for trial in shown.get_all_trials(STUDY_ID, states=(TrialState.WAITING,))] == [2]
    assert shown.set_trial_state_values(102, TrialState.RUNNING)
    assert shown.get_all_trials(STUDY_ID, states=(TrialState.WAITING,)) == []


def test_what_was_handed_out_stays_as_it_was() -> None:
    waiting = enqueued(2)
    shown = view(own=waiting)
    before = shown.get_all_trials(STUDY_ID, deepcopy=False)
    as_it_was = copy.deepcopy(before)
    shown.set_trial_state_values(102, TrialState.RUNNING)
    shown.set_trial_param(102, "x", 0.25, RATE)
    shown.set_trial_system_attr(102, "rung", 1)
    assert before == as_it_was
    assert waiting == as_it_was[2]


def test_a_deep_copy_may_be_changed() -> None:
    shown = view()
    shown.get_all_trials(STUDY_ID)[0].params["x"] = 7.0
    assert shown.get_all_trials(STUDY_ID)[0].params == {"x": 0.5}


def test_it_stores_no_results_and_creates_no_studies() -> None:
    shown = view()
    shown.create_new_trial(STUDY_ID)
    for ask in (
        lambda: shown.create_new_trial(STUDY_ID),
        lambda: shown.create_new_study([StudyDirection.MINIMIZE]),
        lambda: shown.delete_study(STUDY_ID),
        lambda: shown.set_study_user_attr(STUDY_ID, "a", 1),
        lambda: shown.set_trial_user_attr(NEW_TRIAL_ID, "a", 1),
        lambda: shown.set_trial_intermediate_value(NEW_TRIAL_ID, 1, 0.5),
        lambda: shown.set_trial_state_values(NEW_TRIAL_ID, TrialState.COMPLETE, [1.0]),
    ):
        with pytest.raises(RuntimeError, match="for samplers and pruners"):
            ask()

from typing import Any

import pytest
from optuna.search_space import IntersectionSearchSpace, intersection_search_space
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.domain.phase import Phase
from service.search.phase_view import PhaseView
from service.search.sampling import distributions
from service.search.strategies.random import POINT
from tests.factories import job_spec

SPACE: dict[str, Any] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64]},
    "epochs": {"type": "int", "low": 1, "high": 9},
    "momentum": 0.9,
}
FIRST = Phase(spec=job_spec(search_space=SPACE))


def later(**changed: Any) -> Phase:
    return Phase(position=1, spec=job_spec(search_space=SPACE | changed), first_number=10)


def tried(rate: float = 0.1, batch_size: int = 32, epochs: int = 4, **overrides: Any) -> FrozenTrial:
    params = {"learning_rate": rate, "batch_size": batch_size, "epochs": epochs}
    return create_trial(**{"value": 1.0, "params": params, "distributions": distributions(FIRST.spec)} | overrides)


NARROW = {"type": "float", "low": 0.01, "high": 0.2, "log": True}


def test_a_trial_in_the_range_is_seen_under_it() -> None:
    phase, trial = later(learning_rate=NARROW), tried()
    seen = PhaseView(phase).see(trial, FIRST)
    assert seen is not None
    assert (seen.params, seen.distributions) == (trial.params, distributions(phase.spec))
    assert list(seen.distributions) == ["batch_size", "epochs", "learning_rate"]
    assert trial.distributions == distributions(FIRST.spec), "the trial itself is as it was"
    own = tried(0.02, distributions=distributions(phase.spec))
    assert intersection_search_space([seen, own]) == distributions(phase.spec)
    assert "learning_rate" not in IntersectionSearchSpace().calculate(_Study([trial, own]))  # type: ignore[arg-type]


class _Study:
    _study_id = 0

    def __init__(self, trials: list[FrozenTrial]) -> None:
        self._trials = trials

    def _get_trials(self, **_: Any) -> list[FrozenTrial]:
        return self._trials


@pytest.mark.parametrize(
    ("changed", "is_seen"),
    [
        ({"learning_rate": NARROW | {"low": 0.1}}, True),
        ({"learning_rate": NARROW | {"low": 0.11}}, False),
        ({"learning_rate": NARROW | {"high": 0.09}}, False),
        ({"learning_rate": {"type": "categorical", "choices": [0.1, 0.01]}}, True),
        ({"batch_size": {"type": "categorical", "choices": [32, 128]}}, True),
        ({"batch_size": {"type": "categorical", "choices": [64, 128]}}, False),
        ({"epochs": {"type": "int", "low": 2, "high": 8, "step": 2}}, True),
        ({"epochs": {"type": "int", "low": 1, "high": 9, "step": 2}}, False),
        ({"batch_size": 32}, True),
        ({"batch_size": 64}, False),
        ({"momentum": {"type": "float", "low": 0.5, "high": 0.99}}, True),
        ({"momentum": {"type": "float", "low": 0.0, "high": 0.5}}, False),
        ({"momentum": 0.5}, False),
        ({"dropout": {"type": "float", "low": 0.0, "high": 0.5}}, False),
    ],
)
def test_a_trial_is_left_out_when_the_phase_could_not_have_tried_it(changed: dict[str, Any], is_seen: bool) -> None:
    phase = later(**changed)
    seen = PhaseView(phase).see(tried(), FIRST)
    assert (seen is not None) is is_seen
    if seen is not None:
        assert list(seen.params) == list(distributions(phase.spec))


def test_a_parameter_that_an_earlier_phase_fixed_has_that_value() -> None:
    seen = PhaseView(later(momentum={"type": "float", "low": 0.5, "high": 0.99})).see(tried(), FIRST)
    assert seen is not None
    assert seen.params["momentum"] == 0.9


def test_the_first_phase_sees_every_trial_as_it_is() -> None:
    trial = tried(0.5)
    assert PhaseView(FIRST).see(trial, FIRST) is trial
    assert PhaseView(FIRST).see(trial, later(learning_rate=NARROW)) is trial


def test_a_phases_own_trials_and_enqueued_ones_are_seen_as_they_are() -> None:
    phase = later(learning_rate=NARROW)
    outside = tried(0.5)
    assert PhaseView(phase).see(outside, phase) == outside
    enqueued = create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"learning_rate": 50.0}})
    assert PhaseView(phase).see(enqueued, FIRST) is enqueued


def test_which_point_of_its_own_phase_a_trial_tried_is_not_seen() -> None:
    trial = tried(system_attrs={POINT: 3, "constraints": [-1.0]})
    seen = PhaseView(later(learning_rate=NARROW)).see(trial, FIRST)
    assert seen is not None
    assert seen.system_attrs == {"constraints": [-1.0]}
    assert POINT in trial.system_attrs

"""A study as a sampler or pruner sees it: read once, plus one trial that exists or changes only in memory.

Optuna's `ask` creates its trial before the sampler runs, and writes five to eight times. Here it runs on this view, which
collects the writes; one transaction stores them afterwards (DESIGN decision 5).
"""

import bisect
import copy
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

Attributes = Mapping[str, Any]

STUDY_ID = 0
NEW_TRIAL_ID = -1
"""The id of the trial that exists only in memory."""

MOMENT = datetime(2000, 1, 1)
"""The start and end time of trials that exist only in memory: Optuna requires one, and nothing reads it."""


def unfinished_trial(
    trial_id: int, number: int, state: TrialState, *, user_attrs: Attributes | None = None, system_attrs: Attributes | None = None
) -> FrozenTrial:
    """A running or enqueued trial that exists only in memory; only its attributes are set."""
    return FrozenTrial(
        trial_id=trial_id,
        number=number,
        state=state,
        value=None,
        params={},
        distributions={},
        user_attrs=dict(user_attrs or {}),
        system_attrs=dict(system_attrs or {}),
        intermediate_values={},
        datetime_start=None if state is TrialState.WAITING else MOMENT,
        datetime_complete=None,
    )


class SamplingView(BaseStorage):
    """Optuna's storage interface over `trials` (ordered by number) and one trial of its own.

    own: an enqueued or running trial that may be changed here; None: `create_new_trial` makes one, numbered `next_number`.
    A trial that has been returned does not change afterwards; a write replaces it by a changed copy.
    Raises KeyError for any other study or trial, as Optuna expects of a storage.
    """

    def __init__(
        self,
        *,
        name: str,
        direction: str,
        trials: Sequence[FrozenTrial],
        next_number: int,
        study_attrs: Mapping[str, Any],
        own: FrozenTrial | None = None,
    ) -> None:
        self._name = name
        self._direction = StudyDirection[direction.upper()]
        self._others = trials
        self._next_number = next_number
        self._study_attrs = dict(study_attrs)
        self.own = own
        self.written_study_attrs: dict[str, Any] = {}
        """The study's system attributes that were written to this view."""
        self.written_trial_attrs: dict[str, Any] = {}
        """The own trial's system attributes that were written to this view."""

    # The study

    def get_study_id_from_name(self, study_name: str) -> int:
        if study_name != self._name:
            raise KeyError(study_name)
        return STUDY_ID

    def get_study_name_from_id(self, study_id: int) -> str:
        self._check_study(study_id)
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        self._check_study(study_id)
        return [self._direction]

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        self._check_study(study_id)
        return {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        self._check_study(study_id)
        return dict(self._study_attrs)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._check_study(study_id)
        self._study_attrs[key] = value
        self.written_study_attrs[key] = value

    def get_all_studies(self) -> list[FrozenStudy]:
        return [
            FrozenStudy(
                study_name=self._name,
                direction=self._direction,
                user_attrs={},
                system_attrs=dict(self._study_attrs),
                study_id=STUDY_ID,
            )
        ]

    # Its trials

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self._check_study(study_id)
        if self.own is not None or template_trial is not None:
            self._refuse()
        self.own = unfinished_trial(NEW_TRIAL_ID, self._next_number, TrialState.RUNNING)
        return NEW_TRIAL_ID

    def get_trial(self, trial_id: int) -> FrozenTrial:
        if self.own is not None and self.own._trial_id == trial_id:
            return self.own
        for trial in self._others:
            if trial._trial_id == trial_id:
                return trial
        raise KeyError(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        self._check_study(study_id)
        trials = list(self._others)
        if self.own is not None:
            bisect.insort(trials, self.own, key=lambda trial: trial.number)
        if states is not None:
            trials = [trial for trial in trials if trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        trial = self._changed(trial_id)
        trial.params = trial.params | {param_name: distribution.to_external_repr(param_value_internal)}
        trial.distributions = trial.distributions | {param_name: distribution}

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        trial = self._changed(trial_id)
        trial.system_attrs = trial.system_attrs | {key: value}
        self.written_trial_attrs[key] = value

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        trial = self._changed(trial_id)
        if (trial.state, state) != (TrialState.WAITING, TrialState.RUNNING) or values is not None:
            self._refuse()
        trial.state = state
        trial.datetime_start = MOMENT
        return True

    # Operations that neither samplers nor pruners use

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        self._refuse()

    def delete_study(self, study_id: int) -> None:
        self._refuse()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._refuse()

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._refuse()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._refuse()

    def _changed(self, trial_id: int) -> FrozenTrial:
        """Replace the own trial by a copy and return that, so that trials returned before do not change."""
        if self.own is None or self.own._trial_id != trial_id:
            raise KeyError(trial_id)
        self.own = copy.copy(self.own)
        return self.own

    @staticmethod
    def _check_study(study_id: int) -> None:
        if study_id != STUDY_ID:
            raise KeyError(study_id)

    @staticmethod
    def _refuse() -> NoReturn:
        raise RuntimeError("a view of a study is for samplers and pruners; it neither creates studies nor stores results")

import copy
from typing import Any

import pytest
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.domain.space import searched
from service.domain.spec import JobSpec
from service.search.next_trial import propose_next
from service.search.preview import first_points
from service.search.samplers import distribution
from service.search.sampling import Proposal, stored_params
from service.search.snapshot import EMPTY, StudySnapshot
from service.search.strategies.bayesian import Tpe
from tests.factories import job_spec

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "batch_size": {"type": "categorical", "choices": [16, 32, 64]},
    "epochs": {"type": "int", "low": 2, "high": 20},
    "momentum": 0.9,
}


def spec(**overrides: Any) -> JobSpec:
    return job_spec(**{"search_space": SPACE, "strategy": "bayesian", "seed": 5} | overrides)


def propose(of: JobSpec, snapshot: StudySnapshot, *, number: int, waiting: FrozenTrial | None = None) -> Proposal:
    return propose_next(of, snapshot, number=number, next_point=0, waiting=waiting)


def history(of: JobSpec, count: int) -> StudySnapshot:
    """Complete trials at random points."""
    distributions = {name: distribution(dimension) for name, dimension in searched(of.search_space).items()}
    trials: list[FrozenTrial] = []
    for number in range(count):
        point = propose(spec(strategy="random"), EMPTY, number=number).point
        trial = create_trial(
            value=float(point["learning_rate"]), params=point, distributions=distributions, system_attrs={"constraints": [-1.0]}
        )
        trial.number, trial._trial_id = number, 100 + number
        trials.append(trial)
    return StudySnapshot(trials=trials, attrs={})


def enqueued(number: int, **params: Any) -> FrozenTrial:
    trial = create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": params})
    trial.number, trial._trial_id = number, 100 + number
    return trial


class Raises(RandomSampler):
    def infer_relative_search_space(self, *args: Any, **kwargs: Any) -> Any:
        raise ArithmeticError("no point for you")


@pytest.fixture
def broken_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tpe, "sampler", lambda *args: Raises())


QMC = {"type": "random", "sampler": "qmc"}
GP = {"type": "bayesian", "sampler": "gp"}


@pytest.mark.parametrize("strategy", ["random", "bayesian", QMC, GP])
def test_a_proposal_depends_on_the_study_alone_and_not_on_who_asks(strategy: Any) -> None:
    document = spec(strategy=strategy)
    snapshot = history(document, 12)
    as_it_was = copy.deepcopy(snapshot)
    first, second = (propose(document, snapshot, number=12) for _ in range(2))
    assert first == second
    assert first.sampler_error is None
    assert snapshot == as_it_was


@pytest.mark.parametrize("strategy", ["bayesian", GP])
def test_what_a_sampler_notes_of_its_own_thinking_is_not_kept(strategy: Any) -> None:
    document = spec(strategy=strategy)
    assert propose(document, history(document, 12), number=12).trial_attrs == {}


def test_params_are_proposed_in_the_order_of_their_names() -> None:
    proposal = propose(spec(), EMPTY, number=0)
    assert [param.name for param in proposal.params] == ["batch_size", "epochs", "learning_rate"] == list(proposal.point)


def test_a_proposal_is_stored_as_optuna_would_store_it() -> None:
    document = spec()
    proposal = propose(document, EMPTY, number=0)
    assert stored_params(document, proposal.point) == list(proposal.params)


def test_a_grid_whose_range_is_no_multiple_of_its_step_warns_of_nothing() -> None:
    document = spec(search_space={"momentum": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.3}}, strategy="grid")
    assert [param.value for param in stored_params(document, {"momentum": 0.9})] == [0.9]


def test_what_an_enqueued_trial_leaves_open_is_filled_by_the_sampler() -> None:
    document = spec()
    snapshot = history(document, 12)
    waiting = enqueued(12, learning_rate=0.25, epochs=3)
    as_it_was = copy.deepcopy(waiting)
    proposal = propose(document, snapshot, number=40, waiting=waiting)
    assert (proposal.number, proposal.waiting_trial_id) == (12, 112)
    assert (proposal.point["learning_rate"], proposal.point["epochs"]) == (0.25, 3)
    assert proposal.point["batch_size"] in (16, 32, 64)
    assert proposal.sampler_error is None
    assert waiting == as_it_was


@pytest.mark.usefixtures("broken_sampler")
def test_a_sampler_that_raises_is_named_and_that_trial_is_drawn_at_random() -> None:
    points = [propose(spec(), EMPTY, number=number) for number in range(3)]
    assert {proposal.sampler_error for proposal in points} == {"ArithmeticError: no point for you"}
    assert [proposal.point for proposal in points] == [
        propose(spec(strategy="random"), EMPTY, number=number).point for number in range(3)
    ]


@pytest.mark.usefixtures("broken_sampler")
def test_a_sampler_that_raises_takes_nothing_away_from_what_was_enqueued() -> None:
    waiting = enqueued(1, learning_rate=0.25)
    proposal = propose(spec(), EMPTY, number=1, waiting=waiting)
    assert proposal.sampler_error == "ArithmeticError: no point for you"
    assert proposal.point["learning_rate"] == 0.25
    assert proposal.waiting_trial_id == 101


def test_a_value_that_cannot_be_taken_is_named_and_the_trial_is_drawn_at_random() -> None:
    waiting = enqueued(1, batch_size=48, learning_rate=0.25)
    proposal = propose(spec(), EMPTY, number=1, waiting=waiting)
    assert proposal.sampler_error is not None
    assert "48" in proposal.sampler_error
    assert proposal.point["batch_size"] in (16, 32, 64)
    assert proposal.waiting_trial_id == 101


def test_an_enqueued_value_out_of_range_is_tried_as_its_user_wants() -> None:
    proposal = propose(spec(), EMPTY, number=1, waiting=enqueued(1, learning_rate=3.0))
    assert (proposal.sampler_error, proposal.point["learning_rate"]) == (None, 3.0)


def test_the_preview_of_a_job_shows_what_its_first_trials_will_be() -> None:
    document = spec(try_first=[{"learning_rate": 0.5}])
    shown = first_points(document)
    assert len(shown) == 5
    assert shown[0]["learning_rate"] == 0.5
    proposals: list[Proposal] = [propose(document, EMPTY, number=number) for number in range(1, 5)]
    assert [point["learning_rate"] for point in shown[1:]] == [proposal.point["learning_rate"] for proposal in proposals]
    assert all(point["momentum"] == 0.9 for point in shown)


STEPPED = {"decay": {"type": "float", "low": 0.0, "high": 10.0, "step": 0.1}, "learning_rate": 0.1}
DECAY = {"decay": distribution(searched(spec(search_space=STEPPED).search_space)["decay"])}
WRITTEN = [number / 10 for number in range(101)]


def stepped_history(count: int) -> StudySnapshot:
    """Complete trials, of which each decay is as floats add up."""
    trials = []
    for number in range(count):
        decay = {"decay": 0.1 * (number * 7 % 101)}
        trial = create_trial(
            value=abs(decay["decay"] - 4.6), params=decay, distributions=DECAY, system_attrs={"constraints": [-1.0]}
        )
        trial.number, trial._trial_id = number, 100 + number
        trials.append(trial)
    return StudySnapshot(trials=trials, attrs={})


@pytest.mark.parametrize("strategy", ["random", "bayesian", QMC, GP])
@pytest.mark.parametrize("n_before", [0, 12])
def test_steps_are_proposed_and_stored_as_people_write_them(strategy: Any, n_before: int) -> None:
    document = spec(search_space=STEPPED, strategy=strategy)
    for number in range(n_before, n_before + 6):
        proposal = propose(document, stepped_history(n_before), number=number)
        assert proposal.sampler_error is None
        assert proposal.point["decay"] in WRITTEN
        assert [param.value for param in proposal.params] == [proposal.point["decay"]]


@pytest.mark.parametrize(("asked", "trained"), [(0.1 * 46, 4.6), (4.6, 4.6), (4.65, 4.65)])
def test_an_enqueued_step_is_trained_as_people_write_it(asked: float, trained: float) -> None:
    proposal = propose(spec(search_space=STEPPED), EMPTY, number=0, waiting=enqueued(0, decay=asked))
    assert (proposal.point, [param.value for param in proposal.params]) == ({"decay": trained}, [trained])

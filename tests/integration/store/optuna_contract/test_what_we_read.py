"""What stock Optuna writes, as we read it."""

import math
import warnings
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from service.store import trials
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.store.optuna_contract.contract import ATTRS, CURVE, POINTS, SPACE, assert_both_read_the_same, stock_study


def test_we_read_every_distribution_that_stock_optuna_asks_for(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    study = stock_study(job, stock)
    for point in POINTS:
        study.enqueue_trial(point)
    for number in range(len(POINTS) + 5):
        trial = study.ask(SPACE)
        if number < len(POINTS):
            assert trial.params == POINTS[number]
        study.tell(trial, float(number))
    found = assert_both_read_the_same(ours, job, stock)
    assert [list(trial.params) for trial in found] == [list(SPACE)] * (len(POINTS) + 5)


def test_we_read_the_deprecated_distributions_of_old_studies(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        old = {
            "uniform": (optuna.distributions.UniformDistribution(0, 1), 0.25),
            "loguniform": (optuna.distributions.LogUniformDistribution(1e-5, 1), 1e-3),
            "discrete": (optuna.distributions.DiscreteUniformDistribution(0, 1, 0.25), 0.75),
            "int": (optuna.distributions.IntUniformDistribution(0, 9, 3), 6),
            "intlog": (optuna.distributions.IntLogUniformDistribution(1, 9), 6),
        }
        trial_id = stock.create_new_trial(job.study_id)
        for name, (distribution, value) in old.items():
            stock.set_trial_param(trial_id, name, value, distribution)
        [trial] = assert_both_read_the_same(ours, job, stock)
    assert trial.params == {name: value for name, (_, value) in old.items()}
    with ours.transaction() as conn:
        record = trials.read_trial(conn, job.study_id, trial_id)
    assert {param.name: param.external for param in record.params} == trial.params


def test_we_read_what_people_see_of_a_parameter_as_optuna_shows_it(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    study = stock_study(job, stock)
    for point in POINTS:
        study.add_trial(create_trial(params=point, distributions=SPACE, value=1.0))
    with ours.transaction() as conn:
        records = list(trials.trials_since(conn, job.study_id))
    assert [{param.name: param.external for param in record.params} for record in records] == POINTS
    assert [type(record.params[6].external) for record in records] == [type(point["mixed"]) for point in POINTS]


def test_we_read_intermediate_values_and_attributes(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    study = stock_study(job, stock)
    trial = study.ask()
    for step, value in reversed(CURVE.items()):
        trial.report(value, step)
    for key, value in ATTRS.items():
        trial.set_user_attr(key, value)
        stock.set_trial_system_attr(trial._trial_id, key, value)
    trial.set_user_attr("null", "overwritten")
    [found] = assert_both_read_the_same(ours, job, stock)
    assert repr(sorted(found.intermediate_values.items())) == repr(sorted(CURVE.items()))
    assert found.user_attrs == ATTRS | {"null": "overwritten"}
    assert found.system_attrs == ATTRS


def test_we_read_trials_in_every_state_with_every_value(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    study = stock_study(job, stock)
    for value in (0.0, -0.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, math.inf, -math.inf):
        study.tell(study.ask(), value)
    with pytest.warns(UserWarning, match="nan"):
        study.tell(study.ask(), math.nan)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.tell(study.ask(), state=TrialState.PRUNED)
    for last in (1.5, math.inf, math.nan):
        trial = study.ask()
        trial.report(last, 3)
        study.tell(trial, state=TrialState.PRUNED)
    study.ask()
    study.enqueue_trial({"learning_rate": 0.1}, user_attrs={"why": "by hand"})
    study.add_trial(create_trial(state=TrialState.WAITING, params={"units": 4}, distributions={"units": SPACE["units"]}))
    start = datetime(2021, 3, 28, 1, 30, 0, 123456)
    study.add_trial(create_trial(value=2.0, intermediate_values={1: math.nan, 2: 3.0}, system_attrs={"constraints": [0.5, 2.0]}))
    template = create_trial(value=3.0)
    template.datetime_start, template.datetime_complete = start, start + timedelta(days=400, microseconds=1)
    study.add_trial(template)
    found = assert_both_read_the_same(ours, job, stock)
    assert found[-1].datetime_start == start
    assert {trial.state for trial in found} == set(TrialState)


def test_we_read_trials_whose_constraint_was_set_by_name(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    study = stock_study(job, stock)
    trial = study.ask()
    trial.set_constraint("memory", 3.0)
    study.tell(trial, 1.0)
    assert_both_read_the_same(ours, job, stock)


def test_we_read_only_what_is_new_and_what_is_asked_for_again(ours: Database, stock: RDBStorage) -> None:
    job, other = submit_job(ours), submit_job(ours)
    study = stock_study(job, stock)
    first, second = study.ask(), study.ask()
    stock_study(other, stock).ask()
    third = study.ask()
    with ours.transaction() as conn:
        found = list(trials.trials_since(conn, job.study_id, after=second._trial_id, again=[first._trial_id]))
        assert [record.trial_id for record in found] == [first._trial_id, third._trial_id]
        with pytest.raises(ValueError, match="unpack"):
            trials.read_trial(conn, other.study_id, first._trial_id)


def test_we_read_the_attributes_of_a_study(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    for key, value in ATTRS.items():
        stock.set_study_system_attr(job.study_id, key, value)
    with ours.transaction() as conn:
        found = trials.study_system_attrs(conn, job.study_id)
    assert found == stock.get_study_system_attrs(job.study_id)
    assert ATTRS.items() <= found.items()

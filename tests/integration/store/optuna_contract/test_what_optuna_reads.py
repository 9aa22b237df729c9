"""What we write, as stock Optuna reads it."""

import math
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from service.dispatch import lifecycle
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Infeasible
from service.store import leases, trials
from service.store.postgres import Database
from tests.factories import measurement, submit_job
from tests.integration.store.optuna_contract.contract import (
    ATTRS,
    CURVE,
    POINTS,
    SPACE,
    assert_both_read_the_same,
    claimed,
    facts,
    stock_study,
    stored,
)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_stock_optuna_reads_our_studies(ours: Database, stock: RDBStorage, direction: str) -> None:
    name = "Größe 学习率 'quoted' %s"
    with ours.transaction() as conn:
        study_id = trials.insert_study(conn, name, direction, user_attrs=ATTRS, system_attrs={"study:metric_names": ["loss"]})
        trials.set_study_system_attrs(conn, study_id, ATTRS)
        trials.set_study_system_attrs(conn, study_id, {"null": 1})
    study = optuna.load_study(study_name=name, storage=stock)
    assert study._study_id == study_id
    assert study.direction.name.lower() == direction
    assert study.user_attrs == ATTRS
    assert study.metric_names == ["loss"]
    assert stock.get_study_system_attrs(study_id) == {"study:metric_names": ["loss"]} | ATTRS | {"null": 1}
    assert study.trials == []


def test_stock_optuna_reads_our_new_trials(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    begun = datetime.now()
    with ours.transaction() as conn:
        ids = [
            trials.insert_trial(conn, job.study_id, number, params=stored(point), user_attrs=ATTRS, system_attrs=ATTRS)
            for number, point in enumerate(POINTS)
        ]
        ids.append(trials.insert_trial(conn, job.study_id, len(POINTS), state="WAITING", system_attrs={"fixed_params": {"a": 1}}))
    found = assert_both_read_the_same(ours, job, stock)
    assert [trial._trial_id for trial in found] == ids
    for number, (trial, point) in enumerate(zip(found, POINTS, strict=False)):
        assert trial.datetime_start is not None
        assert begun <= trial.datetime_start <= datetime.now()
        expected = FrozenTrial(
            number=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=trial.datetime_start,
            datetime_complete=None,
            params=point,
            distributions=SPACE,
            user_attrs=ATTRS,
            system_attrs=ATTRS,
            intermediate_values={},
            trial_id=ids[number],
        )
        assert facts(trial) == facts(expected)
    waiting = found[-1]
    assert (waiting.state, waiting.datetime_start, waiting.params) == (TrialState.WAITING, None, {})
    assert waiting.system_attrs == {"fixed_params": {"a": 1}}


def test_stock_optuna_reads_the_enqueued_trials_that_we_start(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    stock_study(job, stock).enqueue_trial({"zeta": 0.5}, user_attrs=ATTRS)
    begun = datetime.now()
    with ours.transaction() as conn:
        [waiting] = trials.trials_since(conn, job.study_id)
        params = stored(POINTS[0])
        assert trials.start_waiting_trial(conn, waiting.trial_id, params=params, system_attrs={"fixed_params": {}, "new": 1}) == 0
        assert trials.start_waiting_trial(conn, waiting.trial_id, params=params) is None
    [trial] = assert_both_read_the_same(ours, job, stock)
    assert trial.state is TrialState.RUNNING
    assert list(trial.params.items()) == list(POINTS[0].items())
    assert trial.user_attrs == ATTRS
    assert trial.system_attrs == {"fixed_params": {}, "new": 1}
    assert trial.datetime_start is not None
    assert begun <= trial.datetime_start <= datetime.now()


def test_stock_optuna_cannot_start_the_enqueued_trial_that_we_started(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    study = stock_study(job, stock)
    study.enqueue_trial({"zeta": 0.5})
    with ours.transaction() as conn:
        [waiting] = trials.trials_since(conn, job.study_id)
        trials.start_waiting_trial(conn, waiting.trial_id, params=[])
    assert study.ask().number == 1


def test_stock_optuna_reads_our_reports(ours: Database, stock: RDBStorage) -> None:
    submit_job(ours)
    claim = claimed(ours)
    with ours.transaction() as conn:
        leases.report(conn, claim.lease, [measurement(1, 9.0), measurement(2, 8.0)], "loss", lease_s=30)
    # Overwritten where it was reported before.
    steps = [measurement(step, value, fraction=0.5) for step, value in CURVE.items()]
    with ours.transaction() as conn:
        leases.report(conn, claim.lease, steps, "loss", lease_s=30)
    [trial] = assert_both_read_the_same(ours, claim.job, stock)
    assert repr(sorted(trial.intermediate_values.items())) == repr(sorted(CURVE.items()))


def test_stock_optuna_reads_our_results(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours)
    values = [0.0, -0.0, 0.1 + 0.2, 5e-324, -1.7976931348623157e308, math.inf, -math.inf]
    results: list[tuple[Any, float | None]] = [
        *(("COMPLETE", value) for value in values),
        *(("PRUNED", value) for value in values),
        ("PRUNED", None),
        ("FAIL", None),
    ]
    with ours.transaction() as conn:
        for number, (state, value) in enumerate(results):
            trial_id = trials.insert_trial(conn, job.study_id, number, user_attrs={"kept": 1, "long": 2})
            assert trials.finish_trial(conn, trial_id, state, value=value, user_attrs=ATTRS, system_attrs={"constraints": [0.25]})
            assert not trials.finish_trial(conn, trial_id, "FAIL")
    found = assert_both_read_the_same(ours, job, stock)
    assert [(trial.state.name, repr(trial.value)) for trial in found] == [(state, repr(value)) for state, value in results]
    assert found[0].user_attrs == {"kept": 1} | ATTRS
    assert found[0].system_attrs == {"constraints": [0.25]}
    for trial in found:
        assert trial.duration is not None
        assert timedelta() <= trial.duration < timedelta(minutes=1)


def test_a_nan_is_no_result(ours: Database) -> None:
    job = submit_job(ours)
    with ours.transaction() as conn:
        trial_id = trials.insert_trial(conn, job.study_id, 0)
        with pytest.raises(ValueError, match="never nan"):
            trials.finish_trial(conn, trial_id, "COMPLETE", value=math.nan)


def test_stock_optuna_finds_the_best_of_our_trials(ours: Database, stock: RDBStorage) -> None:
    submit_job(ours)
    for result in (
        Completed(value=0.5),
        Infeasible(step=1, fraction=0.25, evidence="loss became inf"),
        Completed(value=0.25, user_attrs={"test_loss": 0.3}),
    ):
        claim = claimed(ours)
        with ours.transaction() as conn:
            finish(conn, claim.lease, result, lease_s=30)
    assert_both_read_the_same(ours, claim.job, stock)
    study = stock_study(claim.job, stock)
    assert (study.best_trial.number, study.best_value) == (2, 0.25)
    assert study.trials[1].constraints == {"0": 0.75} or list(study.trials[1].constraints.values()) == [0.75]


def test_stock_optuna_reads_the_trials_that_a_cancelled_job_ended(ours: Database, stock: RDBStorage) -> None:
    job = submit_job(ours, try_first=[{"learning_rate": 0.1}, {"learning_rate": 0.2}])
    begun = datetime.now()
    nothing, finite, infinite, nan = (claimed(ours) for _ in range(4))
    stock_study(job, stock).enqueue_trial({})
    foreign = stock_study(job, stock).ask()
    stock_study(job, stock).enqueue_trial({})
    with ours.transaction() as conn:
        for claim, last in ((finite, 2.5), (infinite, math.inf), (nan, math.nan)):
            leases.report(conn, claim.lease, [measurement(1, 9.0), measurement(2, last)], "loss", lease_s=30)
        lifecycle.cancel(conn, job.id)
    cancelled = datetime.now()
    found = {trial.number: trial for trial in assert_both_read_the_same(ours, job, stock)}
    assert found[nothing.lease.number].state is TrialState.FAIL
    assert [found[claim.lease.number].state.name for claim in (finite, infinite, nan)] == ["PRUNED"] * 3
    assert [found[claim.lease.number].values for claim in (finite, infinite, nan)] == [[2.5], [math.inf], None]
    assert found[foreign.number].state is TrialState.RUNNING
    for trial in found.values():
        assert trial.datetime_complete is None or begun <= trial.datetime_complete <= cancelled
    assert all(trial.state.is_finished() for trial in found.values() if trial.number != foreign.number)
    seeds = {claim.lease.number: {"training_seed": claim.training_seed} for claim in (nothing, finite, infinite, nan)}
    for number in found.keys() - {foreign.number}:  # what was enqueued and never claimed has no seed
        assert found[number].user_attrs == seeds.get(number, {}) | {"stopped_by": "cancelled"}

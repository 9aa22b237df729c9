"""The contract of DESIGN decision 4: stock Optuna reads what we write, and we read what stock Optuna writes, identically.

All of it in a time zone that is not UTC, on a server whose sessions are in yet another one.
"""

import math
import time
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from service.dispatch import lifecycle
from service.dispatch.attempt import Claim
from service.dispatch.claim import Claimer
from service.dispatch.finish import finish
from service.dispatch.outcome import Completed, Infeasible
from service.dispatch.study_cache import frozen_trial
from service.domain.job import Job
from service.domain.trial import FEASIBLE, Param
from service.store import jobs, leases, trials
from service.store.postgres import Database, psycopg_url
from tests.conftest import execute
from tests.databases import Databases
from tests.factories import measurement, submit_job
from tests.stock_optuna import stock

SPACE: dict[str, BaseDistribution] = {
    # Not in the order of their names: the order is part of what is stored.
    "zeta": FloatDistribution(-1.5, 1e300),
    "learning_rate": FloatDistribution(1e-308, 1.0, log=True),
    "stepped": FloatDistribution(0.0, 1.0, step=0.1),
    "units": IntDistribution(-(2**53), 2**53),
    "width": IntDistribution(1, 1024, log=True),
    "layers": IntDistribution(0, 30, step=3),
    "mixed": CategoricalDistribution((None, True, False, 1, 2.5, "relu", "Größe 学习率", "")),
    "batch_size": CategoricalDistribution((16, 32, 64)),
}
_POINT = {"zeta": 0.0, "learning_rate": 0.1, "stepped": 0.7, "units": 1, "width": 2, "layers": 6, "mixed": 1, "batch_size": 32}
POINTS: list[dict[str, Any]] = [
    _POINT | {"zeta": 0.1 + 0.2, "learning_rate": 1e-308, "stepped": 0.3, "units": 2**53, "width": 1, "layers": 0, "mixed": None},
    _POINT | {"zeta": -1.5, "learning_rate": 1.0, "stepped": 1.0, "units": -(2**53), "width": 1024, "layers": 30, "mixed": True},
    _POINT | {"zeta": 1e300, "learning_rate": 1 / 3, "stepped": 0.0, "batch_size": 64, "mixed": False},
    _POINT | {"zeta": 5e-324, "units": 0, "batch_size": 16, "mixed": 2.5},
    _POINT | {"mixed": "Größe 学习率"},
    _POINT | {"mixed": ""},
]
ATTRS: dict[str, Any] = {
    "nested": {"list": [1, 2.5, None, True, {"deep": [[]]}], "empty": {}},
    "unicode ключ 🎛": "Größe 学习率 🎛 \u0000 \ud800",
    "long": "x" * 100_000,
    "not finite": [math.inf, -math.inf],
    "null": None,
    "quotes": "\"'\\%(name)s %s",
    "big": 2**70,
}
CURVE = {0: 1.0, 1: math.inf, 2: -math.inf, 3: math.nan, 5: 0.1 + 0.2, 7: 5e-324, 1000: -1.7976931348623157e308}


@pytest.fixture
def time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose offset is no whole hour."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def contract_url(database_url: str, postgres_url: str, time_zone: None) -> str:
    """A database whose sessions are neither in UTC nor in this process's zone."""
    execute(postgres_url, f"ALTER DATABASE {psycopg_url(database_url).database} SET timezone = 'Pacific/Chatham'")
    return database_url


@pytest.fixture
def ours(contract_url: str) -> Iterator[Database]:
    database = Database(contract_url)
    yield database
    database.close()


@pytest.fixture(name="stock")
def _stock(contract_url: str) -> Iterator[RDBStorage]:
    with stock(contract_url) as storage:
        yield storage


def facts(trial: FrozenTrial) -> dict[str, Any]:
    """All of a trial, comparable: nan equals nan, 1 is not True, and the order of the params counts."""
    found = dict(vars(trial))
    for name in ("_params", "_distributions"):
        found[name] = list(found[name].items())
    for name in ("_user_attrs", "_system_attrs", "_intermediate_values", "intermediate_values"):
        if name in found:
            found[name] = sorted(found[name].items())
    return {name: repr(value) for name, value in found.items()}


def as_read_by_us(database: Database, job: Job) -> list[FrozenTrial]:
    with database.transaction() as conn:
        return [frozen_trial(record, job) for record in trials.trials_since(conn, job.study_id)]


def assert_both_read_the_same(database: Database, job: Job, stock: RDBStorage) -> list[FrozenTrial]:
    """Compares whole trials. Foreign results are shown to samplers as feasible (DESIGN decision 5), by intent."""
    theirs = stock.get_all_trials(job.study_id)
    expected = []
    with database.transaction() as conn:
        leased = {record.trial_id for record in trials.trials_since(conn, job.study_id) if record.leased}
    for trial in theirs:
        shown = facts(trial)
        if trial.state is TrialState.COMPLETE and trial._trial_id not in leased:
            kept = {key: value for key, value in trial.system_attrs.items() if not key.startswith("constraints")}
            shown["_system_attrs"] = repr(sorted((kept | {"constraints": [FEASIBLE]}).items()))
        expected.append(shown)
    assert [facts(trial) for trial in as_read_by_us(database, job)] == expected
    return theirs


def stock_study(job: Job, stock: RDBStorage) -> Study:
    return optuna.load_study(study_name=job.study_name, storage=stock, sampler=optuna.samplers.RandomSampler(seed=1))


def stored(point: dict[str, Any]) -> list[Param]:
    return [
        Param(name=name, value=SPACE[name].to_internal_repr(value), distribution=distribution_to_json(SPACE[name]))
        for name, value in point.items()
    ]


def claimed(database: Database) -> Claim:
    claim = Claimer(database, uuid4(), ["quadratic"], lease_s=30).claim(uuid4())
    assert claim is not None
    return claim


# What stock Optuna writes, as we read it.


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


# What we write, as stock Optuna reads it.


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


# Anything at all, there and back.


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keys = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=50)
choices = st.lists(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    min_size=1,
    max_size=6,
    unique_by=repr,
)


@st.composite
def dimensions(draw: st.DrawFn) -> tuple[BaseDistribution, Any]:
    finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
    kind = draw(st.sampled_from(["float", "log", "int", "categorical"]))
    if kind == "categorical":
        known = CategoricalDistribution(draw(choices))
        return known, known.to_external_repr(draw(st.integers(0, len(known.choices) - 1)))
    if kind == "int":
        low, value, high = sorted(draw(st.lists(st.integers(-(2**53), 2**53), min_size=3, max_size=3)))
        return IntDistribution(low, high), value
    numbers = st.floats(1e-300, 1e300) if kind == "log" else finite
    low, value, high = sorted(draw(st.lists(numbers, min_size=3, max_size=3)))
    return FloatDistribution(low, high, log=kind == "log"), value


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    space=st.dictionaries(keys, dimensions(), max_size=4),
    attrs=st.dictionaries(keys, json_values, max_size=4),
    curve=st.dictionaries(st.integers(0, 2**31 - 1), st.floats(), max_size=5),
    value=st.floats(allow_nan=False),
)
def test_what_stock_optuna_adds_and_what_we_insert_reads_alike(
    round_trips: tuple[Database, RDBStorage, Job],
    space: dict[str, tuple[BaseDistribution, Any]],
    attrs: dict[str, Any],
    curve: dict[int, float],
    value: float,
) -> None:
    database, stock, job = round_trips
    point = {name: chosen for name, (_, chosen) in space.items()}
    template = create_trial(
        params=point,
        distributions={name: known for name, (known, _) in space.items()},
        value=value,
        intermediate_values=curve,
        user_attrs=attrs,
        system_attrs=attrs,
    )
    added = stock.get_trial(stock.create_new_trial(job.study_id, template))
    params = [
        Param(name=name, value=known.to_internal_repr(chosen), distribution=distribution_to_json(known))
        for name, (known, chosen) in space.items()
    ]
    with database.transaction() as conn:
        jobs.lock_with_study(conn, job.id)
        trial_id = trials.insert_trial(conn, job.study_id, added.number + 1, params=params, user_attrs=attrs, system_attrs=attrs)
        trials.finish_trial(conn, trial_id, "COMPLETE", value=value)
        theirs, _ = (frozen_trial(record, job) for record in trials.trials_since(conn, job.study_id, after=added._trial_id - 1))
    inserted = stock.get_trial(trial_id)
    of_a_trial = ("_params", "_distributions", "_user_attrs", "_values")
    both = {name: facts(inserted)[name] for name in of_a_trial}
    assert both == {name: facts(added)[name] for name in of_a_trial} == {name: facts(theirs)[name] for name in of_a_trial}
    assert facts(inserted)["_system_attrs"] == facts(added)["_system_attrs"]
    assert repr(sorted(theirs.intermediate_values.items())) == repr(sorted(curve.items()))
    assert theirs.datetime_start == added.datetime_start


@pytest.fixture(scope="module")
def round_trips(databases: Databases) -> Iterator[tuple[Database, RDBStorage, Job]]:
    """One database for all examples."""
    with databases.borrow() as url:
        database = Database(url)
        with stock(url) as storage:
            yield database, storage, submit_job(database)
        database.close()


def test_a_study_of_several_pages_is_read_whole_and_in_order(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit_job(database)
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        study = optuna.load_study(study_name=job.study_name, storage=storage)
        study.add_trials([optuna.create_trial(value=float(number)) for number in range(7)])
    monkeypatch.setattr(trials, "PAGE", 3)
    with database.transaction() as conn:
        ids = [record.trial_id for record in trials.trials_since(conn, job.study_id)]
        assert [record.value for record in trials.trials_since(conn, job.study_id)] == list(range(7))
        assert ids == sorted(set(ids))
        again = list(trials.trials_since(conn, job.study_id, after=ids[2], again=ids[:1]))
        assert [record.trial_id for record in again] == [ids[0], *ids[3:]]
        assert not any(record.curve for record in trials.trials_since(conn, job.study_id, with_curves=False))

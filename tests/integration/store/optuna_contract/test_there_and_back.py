"""Anything at all, there and back."""

from collections.abc import Iterator
from typing import Any

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
from optuna.trial import create_trial

from service.dispatch.study_cache import frozen_trial
from service.domain.job import Job
from service.domain.trial import Param
from service.store import jobs, trials
from service.store.postgres import Database
from tests.databases import Databases
from tests.factories import submit_job
from tests.integration.store.optuna_contract.contract import facts
from tests.stock_optuna import stock

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

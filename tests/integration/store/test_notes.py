"""What we write of notes and plots is what stock optuna-dashboard writes itself, and reads."""

from collections.abc import Mapping
from typing import Any

import optuna
import plotly.graph_objects as go  # type: ignore[import-untyped]
import pytest
from optuna.storages import RDBStorage
from optuna_dashboard import get_note, save_note, save_plotly_graph_object  # type: ignore[import-untyped]
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects  # type: ignore[import-untyped]
from optuna_dashboard._note import get_note_from_system_attrs  # type: ignore[import-untyped]

from service.domain.job import Job
from service.store import notes, trials
from service.store.optuna_tables import dashboard_storage
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.training import Worker
from tests.stock_optuna import stock

LONG = "Größe 学习率 🎛 'quoted' \"twice\" \\ \n" * 200
FIGURE = go.Figure(data=[go.Scatter(x=list(range(900)), y=list(range(900)))])


def save(database: Database, job: Job, note: str, plot: str | None = None, of_trials: Mapping[int, str] | None = None) -> None:
    database.transact(lambda conn: notes.save(conn, job.study_id, note=note, plot=plot, trials=of_trials or {}))


def attributes(storage: RDBStorage, study_id: int) -> dict[str, Any]:
    return {key: value for key, value in storage.get_study_system_attrs(study_id).items() if key.startswith("dashboard:")}


def test_notes_and_plots_are_stored_as_the_dashboard_stores_them(database: Database) -> None:
    job = submit_job(database)
    Worker(database).train(1)
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        study = optuna.load_study(study_name=job.study_name, storage=storage)
        [trial] = study.trials
        save(database, job, LONG, FIGURE.to_json(), {trial._trial_id: LONG})
        ours = attributes(storage, job.study_id)
        twin = optuna.create_study(study_name="twin", storage=storage)
        twin_trial = twin.ask()
        save_note(twin, LONG)
        save_note(twin_trial, LONG)
        save_plotly_graph_object(twin, FIGURE, graph_object_id=notes.PLOT)
        theirs = attributes(storage, twin._study_id)
        assert ours == {key.replace(f":{twin_trial._trial_id}:", f":{trial._trial_id}:"): value for key, value in theirs.items()}
        assert get_note(study) == LONG
        assert optuna.load_study(study_name=job.study_name, storage=storage).best_trial.number == 0


def test_a_shorter_note_leaves_nothing_of_a_longer_one_and_a_plot_goes_with_its_figure(database: Database) -> None:
    job = submit_job(database)
    with stock(database.url.render_as_string(hide_password=False)) as storage:
        save(database, job, LONG, FIGURE.to_json(), {7: "of a trial"})
        save(database, job, "short", None, {8: "of another"})
        found = attributes(storage, job.study_id)
        assert get_note_from_system_attrs(found, None) == {"version": 2, "body": "short"}
        assert get_note_from_system_attrs(found, 7) == {"version": 1, "body": "of a trial"}
        assert get_note_from_system_attrs(found, 8) == {"version": 1, "body": "of another"}
        assert get_plotly_graph_objects(found) == {}


def test_samplers_read_none_of_it(database: Database) -> None:
    job = submit_job(database)
    save(database, job, LONG, FIGURE.to_json(), {7: LONG})
    with database.transaction() as conn:
        assert not [key for key in trials.study_system_attrs(conn, job.study_id) if key.startswith("dashboard:")]
        trials.set_study_system_attrs(conn, job.study_id, {"hyperband:x": [1]})
        assert trials.study_system_attrs(conn, job.study_id)["hyperband:x"] == [1]


def test_the_dashboard_reads_all_studies_here_as_it_does_elsewhere(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    job = submit_job(database, name="Größe 学习率 🎛", labels={"team": "vision"})
    save(database, job, LONG)
    with stock(url) as storage:
        foreign = optuna.create_study(study_name="two", storage=storage, directions=["minimize", "maximize"])
        foreign.set_user_attr("nested", {"list": [1, 2.5, None, True], "nul": "\u0000"})
        ours = dashboard_storage(url)
        try:
            assert list(map(vars, ours.get_all_studies())) == list(map(vars, storage.get_all_studies()))
        finally:
            ours.remove_session()
            ours.engine.dispose()


@pytest.mark.parametrize("most", [0, 2, 50])
def test_the_first_trials_that_have_something_to_tell_get_notes_and_only_new_ones(database: Database, most: int) -> None:
    job = submit_job(database)
    Worker(database).train(6)

    def tell(number: int, key: str) -> None:
        with database.transaction() as conn:
            conn.exec_driver_sql(
                "INSERT INTO optuna.trial_user_attributes (trial_id, key, value_json) SELECT trial_id, %(key)s, '{}'"
                " FROM optuna.trials WHERE study_id = %(study_id)s AND number = %(number)s",
                {"study_id": job.study_id, "number": number, "key": key},
            )

    def told() -> list[int]:
        with database.transaction() as conn:
            return [record.number for record in notes.not_noted(conn, job.study_id, most=most)]

    with database.transaction() as conn:
        conn.exec_driver_sql("DELETE FROM optuna.trial_user_attributes WHERE key = 'diagnosis'")
    for number, key in ((5, "error"), (1, "diagnosis"), (4, "pruned_at_step"), (2, "mine")):
        tell(number, key)
    first = [1, 4, 5][:most]
    assert told() == first
    with database.transaction() as conn:
        noted = {each.trial_id: "told" for each in notes.not_noted(conn, job.study_id, most=most)}
    save(database, job, "note", None, noted)
    assert told() == []
    tell(3, "diagnosis")
    assert told() == ([3] if most == 50 else [])

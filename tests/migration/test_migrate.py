"""Migrations: up, down and up again, by many at once, on what is there already."""

from collections.abc import Iterator
from uuid import uuid4

import optuna
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, create_trial

from service.dispatch.submit import submit
from service.domain.training_seeds import replicate_seed
from service.errors import DatabaseNotMigrated
from service.store import jobs, measurements, migrate, revision, tables
from service.store.postgres import Database, psycopg_url, stock_url
from tests.conftest import execute
from tests.factories import MEANING, job_spec, measurement, submit_job
from tests.integration.dispatch.training import claimed, claimer_of
from tests.processes import at_once, wait_for_the_others
from tests.stock_optuna import stock


@pytest.fixture
def empty(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.close()


def check(database: Database) -> None:
    with database.transaction() as conn:
        revision.check(conn)


def relations(database: Database) -> set[str]:
    """All that people have made in the database: schemas, and what is in them, functions too."""
    with database.transaction() as conn:
        return set(
            conn.exec_driver_sql(
                "SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
                " WHERE nspname !~ '^(pg_|information_schema)'"
                " UNION SELECT nspname || '.' || proname || '()' FROM pg_proc"
                " JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname !~ '^(pg_|information_schema)'"
                " UNION SELECT nspname || '.' FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'"
            ).scalars()
        )


def ask_and_tell(url: str, study_name: str) -> None:
    """Stock Optuna at work."""
    with stock(url) as storage:
        study = optuna.create_study(study_name=study_name, storage=storage, load_if_exists=True)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
        assert len(optuna.load_study(study_name=study_name, storage=storage).trials) >= 2


def trials_of(url: str, study_name: str) -> list[FrozenTrial]:
    """As stock Optuna reads them."""
    with stock(url) as storage:
        return optuna.load_study(study_name=study_name, storage=storage).trials


def test_check_refuses_an_empty_database_and_accepts_a_migrated_one(empty: Database) -> None:
    with pytest.raises(DatabaseNotMigrated, match="run `stride migrate`"):
        check(empty)
    migrate.upgrade(empty)
    check(empty)
    migrate.upgrade(empty)  # which changes nothing
    check(empty)


def test_check_refuses_a_database_with_optunas_tables_alone(empty: Database) -> None:
    migrate.upgrade(empty)
    migrate.downgrade(empty)
    with pytest.raises(DatabaseNotMigrated, match="run `stride migrate`"):
        check(empty)


def test_down_leaves_nothing_of_ours_and_optunas_studies_usable(empty: Database, empty_database_url: str) -> None:
    before = relations(empty)
    migrate.upgrade(empty)
    job = submit_job(empty)
    ask_and_tell(empty_database_url, job.study_name)
    migrate.downgrade(empty)
    left = relations(empty) - before
    assert left
    assert {name for name in left if "stride" in name or not name.startswith("optuna.")} == set()
    ask_and_tell(empty_database_url, job.study_name)
    ask_and_tell(empty_database_url, "new")
    with stock(empty_database_url) as storage:
        optuna.delete_study(study_name=job.study_name, storage=storage)


def test_up_again_after_down_is_as_the_first_time(empty: Database, empty_database_url: str) -> None:
    migrate.upgrade(empty)
    first = relations(empty)
    study_name = submit_job(empty).study_name
    migrate.downgrade(empty)
    migrate.upgrade(empty)
    check(empty)
    assert relations(empty) == first
    ask_and_tell(empty_database_url, study_name)
    submit_job(empty)


def test_what_was_measured_before_measurements_carried_details_is_read_as_it_was(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.transaction() as conn:
        command.downgrade(migrate._config(conn), "0002")
        conn.exec_driver_sql(
            "INSERT INTO stride.measurements (trial_id, step, fraction, in_warmup, metrics, learning_rate, seconds)"
            """ VALUES (1, 1, 0.25, false, '{"loss": 0.5}', 0.1, 0.01)"""
        )
    with pytest.raises(DatabaseNotMigrated):
        check(empty)
    migrate.upgrade(empty)
    with empty.transaction() as conn:
        assert measurements.of_trial(conn, 1) == [measurement(1, 0.5)]


def test_stored_jobs_share_the_seed_that_they_had_and_their_trials_say_so(empty: Database, empty_database_url: str) -> None:
    migrate.upgrade(empty)
    alone = submit_job(empty, seed=2**63 - 1, budget={"trials": 3}, training_seed="shared")
    replicated = submit_job(empty, seed=5, budget={"trials": 3}, replicates=3)
    claimer = claimer_of(empty)
    for _ in range(6):
        claimed(claimer)
    with stock(empty_database_url) as storage:
        optuna.load_study(study_name=alone.study_name, storage=storage).add_trial(create_trial(value=0.0))
    with empty.transaction() as conn:
        command.downgrade(migrate._config(conn), "0003")
        assert conn.exec_driver_sql("SELECT count(*) FROM stride.jobs WHERE spec ? 'training_seed'").scalar_one() == 0
    assert all("training_seed" not in trial.user_attrs for trial in trials_of(empty_database_url, alone.study_name))
    migrate.upgrade(empty)
    with empty.transaction() as conn:
        assert jobs.get(conn, alone.id).spec.training_seed == "shared"
        assert jobs.get(conn, replicated.id).spec.training_seed == "per_trial"
    seeds = [trial.user_attrs.get("training_seed") for trial in trials_of(empty_database_url, alone.study_name)]
    assert seeds == [2**63 - 1] * 3 + [None]
    seeds = [trial.user_attrs["training_seed"] for trial in trials_of(empty_database_url, replicated.study_name)]
    assert seeds == [replicate_seed(5, replicate) for replicate in range(3)]


def test_trials_that_had_seeds_of_their_own_have_them_after_down_and_up_again(empty: Database, empty_database_url: str) -> None:
    migrate.upgrade(empty)
    job = submit_job(empty, budget={"trials": 3})
    claimer = claimer_of(empty)
    for _ in range(3):
        claimed(claimer)
    before = [trial.user_attrs["training_seed"] for trial in trials_of(empty_database_url, job.study_name)]
    with empty.transaction() as conn:
        command.downgrade(migrate._config(conn), "0003")
    migrate.upgrade(empty)
    with empty.transaction() as conn:
        assert jobs.get(conn, job.id).spec.training_seed == "per_trial"
    assert [trial.user_attrs["training_seed"] for trial in trials_of(empty_database_url, job.study_name)] == before


def test_stored_jobs_keep_what_claims_know_of_their_strategies(empty: Database) -> None:
    def known() -> list[tuple[bool, bool]]:
        with empty.transaction() as conn:
            rows = conn.exec_driver_sql(
                "SELECT phases.needs_history, phases.counts_points FROM stride.phases JOIN stride.jobs ON id = job_id"
                " ORDER BY created_at"
            )
            return [tuple(row) for row in rows]

    migrate.upgrade(empty)
    for strategy in ("grid", "random", {"type": "random", "sampler": "qmc"}, "bayesian", {"type": "bayesian", "sampler": "gp"}):
        submit_job(empty, strategy=strategy)
    submitted = known()
    assert submitted == [(False, True), (False, False), (True, False), (True, False), (True, False)]
    with empty.transaction() as conn:
        command.downgrade(migrate._config(conn), "0004")
    migrate.upgrade(empty)
    assert known() == submitted


def test_a_job_from_before_objectives_declared_meanings_is_read_by_the_names_that_it_has(empty: Database) -> None:
    migrate.upgrade(empty)
    space = {"learning_rate": {"type": "float", "low": 0.01, "high": 1.0, "log": True}, "momentum": 0.9, "fold": 1, "loss": "mse"}
    settings = {"dataset": "digits", "threads": 2, "loss": "mae", "batch_size": 8}
    job = submit_job(empty, objective={"name": "mine", "settings": settings}, search_space=space)
    with empty.transaction() as conn:
        command.downgrade(migrate._config(conn), "0006")
    migrate.upgrade(empty)
    with empty.transaction() as conn:
        meaning = jobs.get(conn, job.id).spec.meaning
    assert meaning.parameters == {name: MEANING.parameters[name] for name in ("learning_rate", "momentum")}
    assert meaning.measure == ("dataset",)
    assert meaning.measured_with == {"validation_loss": ("loss",), "training_loss": ("loss",)}
    assert (meaning.step_word, meaning.threads) == ("epoch", "threads")


def test_a_job_from_before_objectives_had_versions_may_be_trained_by_any_worker_that_offers_its_objective(
    empty: Database,
) -> None:
    migrate.upgrade(empty)
    with empty.transaction() as conn:
        job, _ = submit(conn, job_spec(), objective_sha256=b"a version")
    assert claimer_of(empty).claim(uuid4()) is None
    with empty.transaction() as conn:
        command.downgrade(migrate._config(conn), "0011")
    migrate.upgrade(empty)
    assert claimed(claimer_of(empty)).job.id == job.id
    with empty.transaction() as conn:
        assert jobs.get(conn, job.id).objective_sha256 is None


def test_down_twice_is_harmless(empty: Database) -> None:
    migrate.upgrade(empty)
    migrate.downgrade(empty)
    migrate.downgrade(empty)
    migrate.upgrade(empty)
    check(empty)


def test_an_existing_optuna_schema_with_studies_in_it_is_taken_over(empty: Database, empty_database_url: str) -> None:
    execute(empty_database_url, "CREATE SCHEMA optuna")
    storage = RDBStorage(stock_url(empty_database_url))
    study = optuna.create_study(study_name="before", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    before = [repr(trial) for trial in study.trials]
    storage.engine.dispose()
    migrate.upgrade(empty)
    check(empty)
    with stock(empty_database_url) as storage:
        assert [repr(trial) for trial in optuna.load_study(study_name="before", storage=storage).trials] == before
    ask_and_tell(empty_database_url, "before")
    submit_job(empty)


def test_optunas_tables_elsewhere_are_left_alone(empty: Database, empty_database_url: str) -> None:
    storage = RDBStorage(empty_database_url)
    optuna.create_study(study_name="of somebody else", storage=storage)
    storage.engine.dispose()
    migrate.upgrade(empty)
    migrate.downgrade(empty)
    with empty.transaction() as conn:
        assert conn.exec_driver_sql("SELECT study_name FROM studies").scalars().all() == ["of somebody else"]
        assert conn.exec_driver_sql("SELECT count(*) FROM optuna.studies").scalar_one() == 0


def migrate_at_once(url: str) -> None:
    database = Database(url)
    wait_for_the_others()
    migrate.upgrade(database)
    check(database)
    database.close()


def test_twenty_processes_may_migrate_an_empty_database_at_once(empty: Database, empty_database_url: str) -> None:
    at_once([(migrate_at_once, (empty_database_url,))] * 20)
    check(empty)
    submit_job(empty)


@pytest.mark.parametrize("by", [migrate.upgrade, check])
def test_a_database_of_an_unknown_newer_version_is_refused(database: Database, by: object) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE stride.alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseNotMigrated, match=r"at revision 9999.* newest version of Stride") as refusal:
        by(database)  # type: ignore[operator]
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("by", [migrate.upgrade, check])
def test_optunas_tables_of_an_unknown_newer_version_are_refused(database: Database, by: object) -> None:
    with database.transaction() as conn:
        conn.exec_driver_sql("UPDATE optuna.alembic_version SET version_num = 'v9.0.0.a'")
    with pytest.raises(DatabaseNotMigrated, match=r"v9\.0\.0\.a") as refusal:
        by(database)  # type: ignore[operator]
    assert "\n" not in str(refusal.value)


def test_each_file_of_a_migration_begins_with_its_revision(database: Database) -> None:
    with database.transaction() as conn:
        scripts = ScriptDirectory.from_config(migrate._config(conn))
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(revision.KNOWN))


def test_the_tables_in_code_are_the_ones_the_migrations_leave(database: Database) -> None:
    # The role is called stride, which would make our schema the default one by "$user".
    engine = sa.create_engine(database.url.update_query_dict({"options": "-csearch_path=public"}))
    with engine.connect() as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, parents: name == tables.SCHEMA if kind == "schema" else True,
                "version_table_schema": tables.SCHEMA,
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        difference = compare_metadata(context, tables.metadata)
        inspector = sa.inspect(conn)
        for table in tables.metadata.sorted_tables:
            # What Alembic does not compare.
            checks = {check["name"] for check in inspector.get_check_constraints(table.name, tables.SCHEMA)}
            assert checks == {str(item.name) for item in table.constraints if isinstance(item, sa.CheckConstraint)}
            columns = {column["name"]: column for column in inspector.get_columns(table.name, tables.SCHEMA)}
            for column in table.columns:
                stored = columns[column.name]
                assert ("computed" in stored) == (column.computed is not None), column
                assert ("identity" in stored) == (column.identity is not None), column
            indexes = {index["name"]: index for index in inspector.get_indexes(table.name, tables.SCHEMA)}
            for index in table.indexes:
                partial = index.dialect_options["postgresql"]["where"] is not None
                assert ("postgresql_where" in indexes[str(index.name)]["dialect_options"]) == partial, index
    engine.dispose()
    assert difference == []


def test_our_indexes_on_optunas_trials_are_there(database: Database) -> None:
    assert {"optuna.stride_trials_study_id_number_key", "optuna.stride_trials_waiting_idx"} <= relations(database)


def test_a_role_that_owns_nothing_but_the_two_schemas_can_migrate(empty: Database, empty_database_url: str) -> None:
    role = f"role_{uuid4().hex}"
    execute(empty_database_url, f"CREATE ROLE {role} LOGIN PASSWORD 'restricted'")
    try:
        execute(empty_database_url, f"CREATE SCHEMA stride AUTHORIZATION {role}")
        execute(empty_database_url, f"CREATE SCHEMA optuna AUTHORIZATION {role}")
        url = psycopg_url(empty_database_url).set(username=role, password="restricted").render_as_string(hide_password=False)
        restricted = Database(url)
        migrate.upgrade(restricted)
        check(restricted)
        submit_job(restricted)
        migrate.downgrade(restricted)
        migrate.upgrade(restricted)
        restricted.close()
    finally:
        execute(empty_database_url, f"DROP OWNED BY {role} CASCADE")
        execute(empty_database_url, f"DROP ROLE {role}")

"""Optuna's own tables: created and checked by Optuna itself (DESIGN decisions 3 and 4)."""

import json
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.study._frozen import FrozenStudy

from service.errors import DatabaseNotMigrated
from service.store.postgres import psycopg_url, stock_url

OPTUNA_SCHEMA = "optuna"
REVISION = "v3.2.0.a"
"""The revision of Optuna's schema that our statements write."""


def create(url: str) -> None:
    """Have Optuna create or upgrade its tables. The schema must exist.

    Raises DatabaseNotMigrated when they are of a newer version of Optuna.
    """
    # Not through an engine of ours: `upgrade()` uses the URL alone, so the search path must be in it.
    storage = optuna.storages.RDBStorage(stock_url(url), engine_kwargs={"poolclass": sa.NullPool}, skip_compatibility_check=True)
    found = storage.get_current_version()
    if found not in storage.get_all_versions():
        raise DatabaseNotMigrated(
            f"Optuna's tables are of revision {found}, which optuna {optuna.__version__} does not know:"
            " run `stride migrate` with the newest version of Optuna in use."
        )
    if found != storage.get_head_version():
        storage.upgrade()
    storage.remove_session()


def check(conn: sa.Connection) -> None:
    """Raise DatabaseNotMigrated unless Optuna's tables are of the revision we write."""
    if conn.exec_driver_sql("SELECT to_regclass('optuna.alembic_version')").scalar() is None:
        raise DatabaseNotMigrated
    found = conn.exec_driver_sql("SELECT version_num FROM optuna.alembic_version").scalar()
    if found != REVISION:
        raise DatabaseNotMigrated(
            f"Optuna's tables are of revision {found}, but this version of Stride writes {REVISION}:"
            f" run `stride migrate`, with optuna {optuna.__version__} installed everywhere."
        )


def dashboard_storage(url: str) -> optuna.storages.RDBStorage:
    """Stock Optuna's view of the database, as its dashboard reads it here."""
    assert psycopg_url(url)
    return _Storage(
        stock_url(url), engine_kwargs={"pool_pre_ping": True}, skip_table_creation=True, skip_compatibility_check=True
    )


_STUDIES = """
SELECT study_id, study_name,
    ARRAY(SELECT direction::text FROM optuna.study_directions WHERE study_id = study.study_id ORDER BY objective),
    (SELECT json_object_agg(key, value_json) FROM optuna.study_user_attributes WHERE study_id = study.study_id),
    (SELECT json_object_agg(key, value_json) FROM optuna.study_system_attributes WHERE study_id = study.study_id)
FROM optuna.studies AS study ORDER BY study_id
"""


class _Storage(optuna.storages.RDBStorage):
    """Reads all studies by one statement: the dashboard asks for them with each look at one, and notes are many rows."""

    def get_all_studies(self) -> list[FrozenStudy]:
        with self.engine.connect() as conn:
            rows = conn.exec_driver_sql(_STUDIES).all()
        return [
            FrozenStudy(
                study_name=name,
                direction=None,
                directions=[optuna.study.StudyDirection[direction] for direction in directions],
                user_attrs=_loaded(user_attrs),
                system_attrs=_loaded(system_attrs),
                study_id=study_id,
            )
            for study_id, name, directions, user_attrs, system_attrs in rows
        ]


def _loaded(attributes: dict[str, str] | None) -> dict[str, Any]:
    return {key: json.loads(value) for key, value in (attributes or {}).items()}

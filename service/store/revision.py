"""The revision of the database's schema, and the newest there is. Every process asks at its start: so it needs no Alembic."""

from pathlib import Path

import sqlalchemy as sa

import migrations
from service.errors import DatabaseNotMigrated
from service.store import optuna_tables

KNOWN = tuple(sorted(file.name.partition("_")[0] for file in Path(migrations.__file__).parent.glob("versions/[0-9]*.py")))
"""All revisions, in order: each file of a migration begins with its own."""
NEWEST = KNOWN[-1]


def check(conn: sa.Connection) -> None:
    """Raise DatabaseNotMigrated unless both schemas are at the revisions of this version."""
    optuna_tables.check(conn)
    found = _current(conn)
    if found is None:
        raise DatabaseNotMigrated
    if found != NEWEST:
        raise _another(found)


def refuse_unknown(conn: sa.Connection) -> None:
    """Raise DatabaseNotMigrated when a newer version of Stride has migrated the database."""
    found = _current(conn)
    if found is not None and found not in KNOWN:
        raise _another(found)


def _current(conn: sa.Connection) -> str | None:
    """The revision of our schema; None before the first migration."""
    if conn.exec_driver_sql("SELECT to_regclass('stride.alembic_version')").scalar() is None:
        return None
    found: str | None = conn.exec_driver_sql("SELECT version_num FROM stride.alembic_version").scalar()
    return found


def _another(found: str) -> DatabaseNotMigrated:
    """The error of a database at a revision that is not this version's."""
    return DatabaseNotMigrated(
        f"The database is at revision {found}, but this version of Stride works on {NEWEST}:"
        " run `stride migrate` with the newest version of Stride in use."
    )

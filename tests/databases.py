"""Empty, migrated databases for tests: used again once they are empty again, since a new one takes a quarter of a second."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from service.store.postgres import psycopg_url

MOST_BYTES = 4_000_000
"""That a database may have grown by and still be used again: whatever is planned in it should be planned as in a new one."""
LEAVES_WITHIN_S = 0.3
"""What the server's side of a closed connection gets to end."""

# Everything in a database that is not PostgreSQL's, what migrations wrote, and how the database is set up.
AS_NEW = """
SELECT array_agg(found ORDER BY found) FROM (
    SELECT format('%s %s %s %s', oid, relname, relnatts, relchecks) AS found FROM pg_class
        WHERE relnamespace NOT IN ('pg_toast'::regnamespace, 'pg_catalog'::regnamespace) AND relpersistence <> 't'
    UNION ALL SELECT format('%s %s', oid, pg_get_functiondef(oid)) FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT format('%s %s', oid, tgname) FROM pg_trigger WHERE oid >= 16384
    UNION ALL SELECT format('%s %s', oid, conname) FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT format('%s %s', oid, nspname) FROM pg_namespace WHERE oid >= 16384
        AND nspname !~ '^pg_(toast_)?temp'
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting AS setting
        JOIN pg_database AS own ON own.oid = setting.setdatabase WHERE datname = current_database()
    UNION ALL SELECT version_num FROM stride.alembic_version
    UNION ALL SELECT version_num FROM optuna.alembic_version
    UNION ALL SELECT version_info::text FROM optuna.version_info
) AS objects
"""
FILLED_BY_MIGRATIONS = ("alembic_version", "version_info")
SIZE = "SELECT pg_database_size(current_database())"


class Databases:
    """Databases on one server, all copies of one template."""

    def __init__(self, server_url: str, template: str) -> None:
        self._server_url = server_url
        self._template = template
        self._admin = _connect(server_url)
        self._spare: list[str] = []
        with _connect(connection_url(server_url, template)) as conn:
            self._as_new = _one(conn, AS_NEW)
            self._most_bytes = _one(conn, SIZE) + MOST_BYTES
            self._make_empty = _make_empty(conn)

    def close(self) -> None:
        """Let go of the server."""
        self._admin.close()

    @contextmanager
    def borrow(self) -> Iterator[str]:
        """The URL of an empty one."""
        name = self._spare.pop() if self._spare else self._new()
        yield connection_url(self._server_url, name)
        if self._is_left(name) and self._is_empty_again(name):
            self._spare.append(name)
        else:
            self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _new(self) -> str:
        name = f"test_{uuid4().hex}"
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(self._template))
        self._admin.execute(copy)
        return name

    def _is_left(self, name: str) -> bool:
        """Whether nobody is connected any more: who still is might write into the next test's database."""
        deadline = time.monotonic() + LEAVES_WITHIN_S
        while _one(self._admin, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)
        return True

    def _is_empty_again(self, name: str) -> bool:
        """Whether it could be emptied and is as it was when it was new."""
        try:
            with _connect(connection_url(self._server_url, name)) as conn:
                if _one(conn, AS_NEW) != self._as_new or _one(conn, SIZE) > self._most_bytes:
                    return False
                conn.execute(self._make_empty)
                conn.execute("SELECT pg_stat_reset()")
        except psycopg.Error:  # the test dropped it, or something in it
            return False
        return True


def _make_empty(conn: psycopg.Connection[Any]) -> sql.Composed:
    """Takes all rows out of all tables but those that migrations filled; a fifth of the work of TRUNCATE, when they are few."""
    own = "schemaname IN ('stride', 'optuna')"
    tables = conn.execute(f"SELECT schemaname, tablename FROM pg_tables WHERE {own}").fetchall()
    sequences = conn.execute(f"SELECT schemaname, sequencename FROM pg_sequences WHERE {own}").fetchall()
    delete = [
        sql.SQL("IF EXISTS (SELECT FROM {0}) THEN DELETE FROM {0}; END IF;").format(sql.Identifier(schema, table))
        for schema, table in tables
        if table not in FILLED_BY_MIGRATIONS
    ]
    restart = [
        sql.SQL("PERFORM setval({}, 1, false);").format(sql.Literal(sql.Identifier(schema, sequence).as_string()))
        for schema, sequence in sequences
    ]
    # Not in the order of foreign keys, which are not looked at in this role.
    return sql.SQL("DO $$ BEGIN SET LOCAL session_replication_role = replica; {} END $$").format(
        sql.SQL("").join(delete + restart)
    )


def connection_url(server_url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return psycopg_url(server_url).set(database=name).render_as_string(hide_password=False)


def _connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def _one(conn: psycopg.Connection[Any], statement: str, *arguments: Any) -> Any:
    """The one value that it answers."""
    row = conn.execute(statement, arguments or None).fetchone()
    assert row is not None
    return row[0]

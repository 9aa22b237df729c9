"""Upgrade a database to the newest schema: Optuna's tables, then ours."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import migrations
from service.store import optuna_tables, revision
from service.store.postgres import Database
from service.store.tables import SCHEMA

MIGRATION_TIMEOUT_S = 600
_LOCK = 0x53_74_72_69_64_65  # "Stride"


def upgrade(database: Database) -> None:
    """Create or upgrade both schemas. Processes that call this at once wait for the first, which does it.

    Raises DatabaseNotMigrated when a newer version of Stride or Optuna has migrated the database.
    """
    with database.transaction(timeout_s=MIGRATION_TIMEOUT_S) as lock:
        # A transaction-level lock: it cannot outlive this transaction.
        lock.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        with database.transaction(timeout_s=MIGRATION_TIMEOUT_S) as conn:
            # Checked first: CREATE SCHEMA needs a privilege on the database that a restricted role may lack.
            for schema in (optuna_tables.OPTUNA_SCHEMA, SCHEMA):
                if conn.scalar(sa.text("SELECT to_regnamespace(:name) IS NULL"), {"name": schema}):
                    conn.execute(sa.schema.CreateSchema(schema))
            revision.refuse_unknown(conn)
        optuna_tables.create(database.url.render_as_string(hide_password=False))
        with database.transaction(timeout_s=MIGRATION_TIMEOUT_S) as conn:
            command.upgrade(_config(conn), "head")


def downgrade(database: Database) -> None:
    """Drop our schema, with all jobs; Optuna's tables and the studies in them stay."""
    with database.transaction(timeout_s=MIGRATION_TIMEOUT_S) as conn:
        conn.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if conn.scalar(sa.text("SELECT to_regnamespace(:name) IS NULL"), {"name": SCHEMA}):
            return
        command.downgrade(_config(conn), "base")
        conn.exec_driver_sql("DROP TABLE stride.alembic_version")
        # A role that could not create the schema again keeps it, empty.
        if conn.scalar(sa.text("SELECT has_database_privilege(current_database(), 'CREATE')")):
            conn.execute(sa.schema.DropSchema(SCHEMA))


def _config(conn: sa.Connection) -> Config:
    config = Config()
    # Found beside the package, so that an installed wheel migrates from any folder.
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = conn
    return config

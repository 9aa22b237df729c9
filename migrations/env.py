"""Run by Alembic: applies our migrations on the connection that `service.store.migrate` hands in."""

from alembic import context

from service.store.tables import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
)
with context.begin_transaction():
    context.run_migrations()

"""The one error of this folder."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run. The message says what is wrong and what to do, for the user to read."""

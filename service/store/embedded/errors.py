"""The errors of this folder."""


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot run. The message says what is wrong and what to do, for the user to read."""


class FolderInUse(EmbeddedPostgresError):
    """Another process has the data folder.

    url: of its API; None: it serves none, or not yet.
    """

    def __init__(self, message: str, url: str | None) -> None:
        super().__init__(message)
        self.url = url

"""A real PostgreSQL without an installation: the default database, and that of the tests.

The programs come from a wheel. This package starts them in a data folder, and makes sure that they end with our process:

    server      EmbeddedPostgres: start, wait until it answers, stop
    folder      the data folder: its files, its lock, its owner
    binaries    the programs: found in the wheel, or copied if the server's user cannot reach it
    process     the user that PostgreSQL runs as, how it is started, which process serves a folder
    child       a script between us and PostgreSQL: switches the user, and ends PostgreSQL when our process ends

The server listens on 127.0.0.1 only and requires a password that only the folder's owner can read.
"""

from service.store.embedded.errors import EmbeddedPostgresError, FolderInUse
from service.store.embedded.folder import default_data_dir
from service.store.embedded.server import EmbeddedPostgres, find_holder, running_url

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "FolderInUse", "default_data_dir", "find_holder", "running_url"]

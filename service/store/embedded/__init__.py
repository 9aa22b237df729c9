"""A real PostgreSQL without an installation: the default database, and that of the tests.

The programs come from a wheel. What is here starts them in a data folder, and sees to it that they end with us:

    server      EmbeddedPostgres: start, wait until it answers, stop
    folder      what lies where in the data folder, who holds it, whose it is
    binaries    the programs: found in the wheel, copied where its user cannot reach it
    process     as whom PostgreSQL runs, how it is started, which one serves a folder
    child       a script between us and PostgreSQL: takes on the identity, dies with us

The server listens on 127.0.0.1 alone and asks for a password that only the folder's owner can read.
"""

from service.store.embedded.errors import EmbeddedPostgresError
from service.store.embedded.folder import default_data_dir
from service.store.embedded.server import EmbeddedPostgres, running_url

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "default_data_dir", "running_url"]

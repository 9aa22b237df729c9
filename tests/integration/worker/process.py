"""A worker as a process of its own: `python -m tests.integration.worker.process`, set up by its environment."""

from service.settings import Settings
from service.store.postgres import Database
from service.worker.loop import run_worker


def main() -> None:
    settings = Settings()
    assert settings.database_url is not None
    database = Database(settings.database_url, timeout_s=settings.database_timeout_s)
    run_worker(database, settings)
    database.close()


if __name__ == "__main__":
    main()

"""Stock Optuna, as users and its dashboard bring it."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.storages import RDBStorage

from service.store.optuna_tables import stock_storage


@contextmanager
def stock(url: str) -> Iterator[RDBStorage]:
    """A storage of stock Optuna's own, closed at the end: its session holds a connection until then."""
    storage = stock_storage(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()

"""Stock Optuna, as users and its dashboard bring it."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.storages import RDBStorage

from service.store.postgres import stock_url

_KEPT: dict[str, RDBStorage] = {}


@contextmanager
def stock(url: str) -> Iterator[RDBStorage]:
    """A storage of stock Optuna's own, closed at the end: its session holds a connection until then."""
    storage = stock_storage(url)
    try:
        yield storage
    finally:
        _close(storage)


@contextmanager
def stock_once_more(url: str) -> Iterator[RDBStorage]:
    """The same one for each block, with no connection in between: a new one composes its statements for longer than it reads."""
    if url not in _KEPT:
        _KEPT[url] = stock_storage(url)
    try:
        yield _KEPT[url]
    finally:
        _close(_KEPT[url])


def stock_storage(url: str) -> RDBStorage:
    """A storage of stock Optuna's own on a migrated database."""
    return RDBStorage(
        stock_url(url), engine_kwargs={"pool_pre_ping": True}, skip_table_creation=True, skip_compatibility_check=True
    )


def _close(storage: RDBStorage) -> None:
    storage.remove_session()
    storage.engine.dispose()

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Parts of answers are worked out as answers are: with more threads, products wait for cores that other tests keep busy."""
    with threadpool_limits(1):
        yield

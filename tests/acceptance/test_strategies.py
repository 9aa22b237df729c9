"""The whole path, for real: API, two workers, three strategies, PyTorch on images."""

from pathlib import Path

import httpx2
import pytest

from benchmarks.strategies import BETTER_THAN, TEST_ACCURACY, run_strategies
from examples.demo import running_stride


@pytest.mark.timeout(240)
def test_every_strategy_finds_a_learning_rate_among_the_best_tenth(tmp_path: Path) -> None:
    with running_stride(str(tmp_path / "data")) as url, httpx2.Client(base_url=url, timeout=30, trust_env=False) as api:
        results = run_strategies(api, seed=0)
    assert [found.strategy for found in results] == ["grid", "random", "bayesian"]
    for found in results:
        assert found.trials == 64
        assert found.better_than >= BETTER_THAN, found
        assert found.test_accuracy >= TEST_ACCURACY, found

"""The objective of one's own in examples/, as the README says to run it."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import REPOSITORY, running_stride

EXAMPLES = str(REPOSITORY / "examples")
PARAMS = {"learning_rate": 0.05, "batch_size": 32, "epochs": 6}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("own_objective")


def test_a_job_of_it_is_answered(tmp_path: Path) -> None:
    settings = {"PYTHONPATH": EXAMPLES, "STRIDE_OBJECTIVE_MODULES": "own_objective"}
    with running_stride(tmp_path / "data", "--workers", "1", **settings) as stride:
        result = stride.run("submit", "-", "--watch", stdin="{objective: {name: sine}, budget: {trials: 8}}")
        assert result.returncode == 0, result.stderr
        [job] = stride.ask("GET", "/v1/jobs")["items"]
        answer = stride.ask("GET", f"/v1/jobs/{job['id']}/best-lr")
    assert 1e-5 < answer["learning_rate"] < 10
    assert answer["best_trial"]["value"] < 0.45, "below that of guessing 0"


def test_it_continues_from_its_state_bit_for_bit(own: Any) -> None:
    whole = [step.metrics for step in own.start(PARAMS, {}, 7, "cpu", 1)]
    first = own.start(PARAMS, {}, 7, "cpu", 1)
    begun = [step.metrics for _, step in zip(range(2), first, strict=False)]
    state = first.state_dict()
    later = own.start(PARAMS, {}, 7, "cpu", 1)
    later.load_state_dict(state)
    assert begun + [step.metrics for step in later] == whole


def test_a_rate_that_is_too_high_has_diverged(own: Any) -> None:
    *_, last = own.start(PARAMS | {"learning_rate": 100.0}, {}, 7, "cpu", 1)
    assert last.divergence is not None

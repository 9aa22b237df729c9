"""Two minutes of fault injection. Longer ones: `make chaos MINUTES=20 SEED=7`."""

import os
from pathlib import Path

import pytest

from tests.chaos.report import markdown
from tests.chaos.run import run

MINUTES = float(os.environ.get("CHAOS_MINUTES", "2"))
SEED = int(os.environ.get("CHAOS_SEED", "1"))


@pytest.mark.timeout(60 * 5 * MINUTES + 300)
def test_what_is_stored_after_faults_is_what_is_stored_without_them(tmp_path: Path) -> None:
    outcome = run(tmp_path, seed=SEED, minutes=MINUTES)
    print(markdown(outcome))
    assert outcome.kept, f"see the report above, and the logs in {tmp_path}"

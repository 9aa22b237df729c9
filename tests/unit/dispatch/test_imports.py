"""What judges a trial is there for whoever trains it."""

import subprocess
import sys


def test_what_judges_a_trial_needs_neither_a_worker_nor_a_database() -> None:
    look = (
        "import sys, service.dispatch.outcome;"
        "print(sorted({'torch', 'optuna', 'sqlalchemy', 'psycopg', 'service.worker', 'service.store'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

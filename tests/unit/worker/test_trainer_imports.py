import subprocess
import sys


def test_a_trainer_is_up_soon_since_it_imports_nothing_slow_of_its_own() -> None:
    """A trial's time runs while its trainer process starts: what takes longer to import is for the objective to."""
    slow = "{'alembic', 'optuna', 'psycopg', 'pydantic', 'sqlalchemy', 'torch'}"
    look = f"import sys, service.worker.trainer; print(sorted({slow} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout == "[]\n"

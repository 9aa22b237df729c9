import subprocess
import sys


def test_a_trainer_is_up_soon_since_it_imports_nothing_slow_of_its_own() -> None:
    """A trial's time runs while its trainer process starts: what takes longer to import is for the objective to."""
    slow = "{'alembic', 'optuna', 'psycopg', 'pydantic', 'sqlalchemy', 'torch'}"
    look = f"import sys, service.worker.trainer.child; print(sorted({slow} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_an_objective_is_imported_soon_since_torch_is_the_only_slow_thing_that_it_needs() -> None:
    slow = "{'joblib', 'optuna', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'torch._dynamo'}"
    look = (
        "import sys; from objectives.catalog import import_start, load_catalog\n"
        f"for objective in load_catalog().values(): import_start(objective)\nprint(sorted({slow} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout == "[]\n"

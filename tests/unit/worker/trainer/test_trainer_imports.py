import subprocess
import sys


def test_a_trainer_is_up_soon_since_it_imports_nothing_slow_of_its_own() -> None:
    """A trial's time runs while its trainer process starts: what takes longer to import is for the objective to."""
    slow = "{'alembic', 'jsonschema', 'optuna', 'psycopg', 'pydantic', 'sqlalchemy', 'torch'}"
    look = f"import sys, service.worker.trainer.child; print(sorted({slow} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_what_its_worker_has_checked_is_not_checked_again_unless_the_file_has_changed() -> None:
    for change, expected in (("", "False"), ("other", "True")):
        look = (
            "import sys; from objectives.catalog import load_catalog; from objectives.sources import source_digests\n"
            "from service.worker.trainer.catalog import TrainerCatalog; names = ['tests.quadratic']\n"
            f"digests = source_digests(load_catalog(names), names) | {{name: '{change}' for name in names if '{change}'}}\n"
            "for name in [name for name in sys.modules if name.partition('.')[0] == 'jsonschema']: del sys.modules[name]\n"
            "TrainerCatalog(names, digests, {}); print('jsonschema' in sys.modules)"
        )
        said = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout
        assert said.strip() == expected


def test_an_objective_is_imported_soon_since_torch_is_the_only_slow_thing_that_it_needs() -> None:
    slow = "{'joblib', 'optuna', 'pandas', 'pyarrow', 'scipy', 'sklearn', 'torch._dynamo'}"
    look = (
        "import sys; from objectives.catalog import import_start, load_catalog\n"
        f"for objective in load_catalog().values(): import_start(objective)\nprint(sorted({slow} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True).stdout == "[]\n"

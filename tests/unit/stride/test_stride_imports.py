"""A script's process holds the standard library, `stride` and what the script itself has imported: nothing else of Stride."""

import ast
import subprocess
import sys
from pathlib import Path

import stride

PACKAGE = Path(stride.__file__).parent
LAZY = {"torch", "numpy"}
"""Imported in functions only, where a script has made use of them."""
OF_FRAMEWORKS = {f"{name}.py": {name, "safetensors"} for name in ("keras", "lightning", "transformers")}
"""What the callbacks for frameworks import, which a script that imports one has."""


def test_it_imports_the_standard_library_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for root in {name.partition(".")[0] for name in names}:
                allowed = {"stride"} | (set() if id(node) in top else LAZY)
                allowed |= OF_FRAMEWORKS.get(path.name, set()) if path.parent.name == "integrations" else set()
                allowed |= {"httpx2"} if path.parent.name == "client" else set()
                assert root in sys.stdlib_module_names or root in allowed, (path.name, root)


def test_its_process_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import stride.process; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    # `__mp_main__` is multiprocessing's other name for the main module.
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"stride", "__mp_main__"}


def test_what_scripts_import_of_it() -> None:
    errors = {name for name in stride.__all__ if isinstance(getattr(stride, name), type) and name not in ("Client", "Trial")}
    assert all(issubclass(getattr(stride, name), stride.StrideError) for name in errors)
    assert set(stride.__all__) - errors == {"Client", "Trial", "objective", "report", "steps"}

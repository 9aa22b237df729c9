"""The notebook among the examples, in a kernel as users have it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import psutil

from tests.acceptance.conftest import REPOSITORY, environment
from tests.polling import wait_until

NOTEBOOK = REPOSITORY / "examples" / "notebook.ipynb"
EXECUTE = "import sys; from nbclient.cli import main; sys.argv[0] = 'jupyter-execute'; sys.exit(main())"


def test_the_notebook_finds_a_learning_rate(tmp_path: Path) -> None:
    executed = tmp_path / "executed.ipynb"
    settings = environment(STRIDE_DATA_DIR=str(tmp_path / "data"), STRIDE_URL="http://127.0.0.1:9", STRIDE_OBJECTIVE_MODULES="")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, f"--output={executed}", str(NOTEBOOK)],
        env=settings | {"IPYTHONDIR": str(tmp_path / "ipython"), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outputs = [cell["outputs"] for cell in json.loads(executed.read_text())["cells"] if cell["cell_type"] == "code"]
    said = ["".join("".join(each.get("text", "")) for each in cell) for cell in outputs]
    assert len(re.findall(r"^trial \d+: rate \S+, (completed|infeasible), ", said[2], flags=re.MULTILINE)) == 12
    assert re.search(r"completed 12/12, best validation_loss 0\.\d+ at learning_rate", said[3])
    assert re.search(r"^learning rate 0?\.?\d", said[3], flags=re.MULTILINE)
    assert any("application/vnd.plotly.v1+json" in each.get("data", {}) for each in outputs[4])
    assert any("/jobs/" in "".join(each["data"].get("text/html", "")) for each in outputs[1])
    wait_until(lambda: not _uses(tmp_path / "data"), "its Stride to end")


def _uses(folder: Path) -> bool:
    return any(str(folder) in " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))

"""How often Python looks for garbage while a script is loaded, and after it."""

import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import gc, sys
from pathlib import Path
from stride.script import Script
from stride.training import Training
before = gc.get_threshold()
script = Script(Path(sys.argv[1]), Training(""))
print(script.function("seen")(), gc.get_threshold() == before)
"""
SEEN = "import gc\nat = gc.get_threshold()[0]\ndef seen():\n    return at\n"


@pytest.mark.parametrize(("own", "expected"), [("", ["50000", "True"]), ("gc.set_threshold(1234)\n", ["50000", "False"])])
def test_it_is_looked_for_seldom_while_a_file_is_loaded_and_then_as_the_file_says(
    tmp_path: Path, own: str, expected: list[str]
) -> None:
    (tmp_path / "train.py").write_text(SEEN + own)
    command = [sys.executable, "-c", LOAD, str(tmp_path / "train.py")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == expected

"""The guide to users' own training is true: each block of it is run, in the order in which it stands there."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.conftest import DEADLINE_S, REPOSITORY, RunningStride, environment
from tests.acceptance.forked_by_shell import program
from tests.acceptance.forked_stride import server_of_scripts, start_forked, start_with
from tests.polling import wait_until

GUIDE = (REPOSITORY / "docs" / "guide" / "your-own-training.md").read_text(encoding="utf-8")
FROM_ANYWHERE = (REPOSITORY / "docs" / "guide" / "from-anywhere.md").read_text(encoding="utf-8")
WAYS = re.findall(r"^## (An(?:y|) [^\n]+|A [^\n]+)\n(.*?)(?=^## )", GUIDE, flags=re.MULTILINE | re.DOTALL)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("title", "text"), WAYS, ids=[title for title, _ in WAYS])
def test_each_block_runs(workerless: RunningStride, tmp_path: Path, title: str, text: str) -> None:
    """The `stride up --workers 0` of the guide is `workerless`."""
    commands, name = "\n".join(blocks(text, "sh")), None
    for script in blocks(text, "python"):
        name = re.match(r"# (\w+\.py)\n", script)
        assert name
        (tmp_path / name[1]).write_text(script)
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    settings = {
        "STRIDE_URL": workerless.url,
        "STRIDE_DATA_DIR": str(workerless.folder),
        "STRIDE_OBJECTIVE_MODULES": "",
        "STRIDE_WORKERS": "1",
    }
    env = environment(**settings) | {"PATH": path, "PYTHONPATH": str(REPOSITORY)}
    lines = [line for line in commands.splitlines() if not line.startswith("stride up")]
    workers = [line for line in lines if line.startswith("stride worker")]
    rest = "\n".join(line for line in lines if line not in workers)
    with ExitStack() as stack:
        stack.enter_context(program(tmp_path / "stride", partial(start_with, scripts=server_of_scripts())))
        for line in workers:
            worker = start_forked(shlex.split(line)[1:], env, tmp_path, scripts=server_of_scripts())
            stack.callback(worker.communicate, DEADLINE_S)
            stack.callback(worker.terminate)
        if workers:
            assert name
            wait_until(lambda: Path(name[1]).stem in _offered(workerless), "the worker to announce it", deadline_s=DEADLINE_S)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", rest],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=3 * DEADLINE_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Learning rate 0\.\d+", done.stdout, flags=re.MULTILINE), done.stdout
    assert re.search(r"^state +completed", done.stdout, flags=re.MULTILINE) or not workers, done.stdout


def _section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## )", FROM_ANYWHERE, flags=re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("title", ["With curl", "In Python"])
def test_a_client_of_the_guide_finds_a_rate(workerless: RunningStride, tmp_path: Path, title: str) -> None:
    for script in blocks(_section(title), "python"):
        name = re.match(r"# (\w+\.py)\n", script)
        assert name
        (tmp_path / name[1]).write_text(script)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", *blocks(_section(title), "sh")],
        cwd=tmp_path,
        env=environment(STRIDE_URL=workerless.url) | {"PATH": path, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r'"?learning.rate"?:? (0\.\d+)', done.stdout)
    assert found, done.stdout
    assert 0.001 < float(found[1]) < 0.1


def _offered(service: RunningStride) -> set[str]:
    return {each["name"] for each in service.ask("GET", "/v1/objectives")["items"] if each["offered"]}


def test_the_guide_has_all_ways() -> None:
    assert [title for title, _ in WAYS] == [
        "An Optuna objective",
        "A loop",
        "A model and its data",
        "A training function",
        "Any command",
    ]

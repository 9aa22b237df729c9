"""`stride run`: from a script to an answer."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import DEADLINE_S, RunningStride, assert_fails, run, run_anew, start

SCRIPT = """
import math
import optuna

def objective(trial):
    lr = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    for step in range(3):
        trial.report(math.log10(lr / 0.01) ** 2 + 1 / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return math.log10(lr / 0.01) ** 2

if __name__ == "__main__":
    raise SystemExit("run as a program")
"""
SLOW = SCRIPT.replace("import math\n", "import math\nimport time\n").replace(
    "        trial.report", "        time.sleep(1)\n        trial.report"
)
CONDITIONAL = SCRIPT.replace(
    "    for step",
    "    if trial.suggest_categorical('optimizer', ['sgd', 'adam']) == 'sgd':\n"
    "        trial.suggest_float('momentum', 0.0, 0.99)\n"
    "    for step",
)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "tune.py"
    path.write_text(SCRIPT)
    return path


def run_script(script: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return run_anew(
        "run", str(script), "--port", "0", "--data", str(script.parent / "data"), *options, STRIDE_URL="http://127.0.0.1:9"
    )


def test_an_optuna_script_is_answered_in_one_command_and_goes_on_in_another(script: Path) -> None:
    first = run_script(script, "--trials", "6", "--strategy", "random", "--workers", "1", "--steps", "3")
    assert first.returncode == 0, first.stderr
    assert "tune: minimize value; learning rate: lr; searched: lr 0.0001 to 1 (log)\n" in first.stderr
    assert "completed 6/6" in first.stderr
    assert re.search(r"^Learning rate 0\.\d+", first.stdout)
    found = re.search(
        rf"^More trials: stride run {re.escape(str(script))} (--steps 3 --go-on \w+ --trials) 16$", first.stderr, re.M
    )
    assert found, first.stderr
    further = run_script(script, *found[1].split(), "2")
    assert further.returncode == 0, further.stderr
    assert "completed 8/8" in further.stderr


def test_a_command_of_any_language_is_answered_whatever_the_folder_holds(tmp_path: Path) -> None:
    for ours in ("objectives", "service", "stride"):
        (tmp_path / ours).mkdir()
        (tmp_path / ours / "__init__.py").write_text("raise SystemExit('this is a package of the user, not ours')")
    program = 'BEGIN {for (i = 0; i < 2; i++) print "{\\"loss\\": " i + (log(lr) / log(10) + 2) ^ 2 "}"}'
    line = f"awk -v lr={{lr}} -v bs={{bs}} '{program}'"
    options = ["--param", "lr=1e-4:1:log", "--param", "bs=16,32", "--metric", "loss", "--trials", "6", "--strategy", "random"]
    place = ["--port", "0", "--data", str(tmp_path / "data"), "--workers", "1"]
    result = run_anew(
        *("run", "--command", line, *options, *place),
        cwd=tmp_path,
        STRIDE_URL="http://127.0.0.1:9",
        STRIDE_OBJECTIVE_MODULES="",
    )
    assert result.returncode == 0, result.stderr
    assert "awk: minimize loss; learning rate: lr; searched: lr 0.0001 to 1 (log), bs 16 | 32\n" in result.stderr
    assert "warning" not in result.stderr
    assert re.search(r"^Learning rate 0\.\d+", result.stdout)
    assert "More trials: stride run --command 'awk " in result.stderr
    assert "While they trained, loss rose in 6 of 6 trials, and the lowest counts as the best: if higher" in result.stderr


def test_check_says_what_works(script: Path, tmp_path: Path) -> None:
    result = run("check", str(script), "--steps", "3")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^ +resume +no +an Optuna objective saves no state", result.stdout, re.M)
    assert re.search(r"^ +pruning +yes +a run has 3 steps\.", result.stdout, re.M)
    (tmp_path / "bad.py").write_text(SCRIPT.replace("return math", "return missing"))
    assert run("check", str(tmp_path / "bad.py")).returncode == 0, "the first steps are right"


def test_workers_join_a_stride_that_runs(stride: RunningStride, script: Path, tmp_path: Path) -> None:
    """By the way: a job file states the space that an objective with a conditional one does not tell."""
    script.write_text(CONDITIONAL)
    assert_fails(run("run", str(script), STRIDE_URL=stride.url), 2, "momentum differently", "a job file can state one")
    space = "lr: {type: float, low: 0.001, high: 0.1, log: true}, optimizer: {type: categorical, choices: [sgd, adam]}"
    (tmp_path / "job.yaml").write_text(
        f"{{name: mine, budget: {{trials: 3}}, strategy: random, search_space: {{{space}, momentum: 0.9}}}}"
    )
    job = str(tmp_path / "job.yaml")
    result = run(
        "run", str(script), "--job", job, "--trials", "9", "--workers", "1", "--data", str(stride.folder), STRIDE_URL=stride.url
    )
    assert result.returncode == 0, result.stderr
    assert "searched: lr 0.001 to 0.1 (log), optimizer sgd | adam, momentum 0.9\n" in result.stderr
    assert f"More trials: stride run {script} --job {job} --go-on " in result.stderr
    assert f" at {stride.url}/dashboard" in result.stderr
    [mine] = [each for each in stride.ask("GET", "/v1/jobs")["items"] if each["name"] == "mine"]
    assert (mine["state"], mine["progress"]["trials"]["complete"]) == ("completed", 3)
    assert len([each for each in stride.ask("GET", "/v1/workers")["items"] if each["state"] != "stopped"]) == 2
    script.write_text(f"{CONDITIONAL}\n# edited\n")
    options = ["--go-on", mine["id"], "--job", job, "--data", str(stride.folder), "--workers", "1"]
    for path, said in ((script, "was begun with another version of tune"), (tmp_path / "other.py", "trains tune, not other")):
        refused = run("run", str(path if path.exists() else script.rename(path)), *options, STRIDE_URL=stride.url)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    assert stride.ask("GET", f"/v1/jobs/{mine['id']}")["state"] == "completed", "it was not extended"


def test_ctrl_c_keeps_the_job_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    process = start(
        *("run", str(tmp_path / "slow.py"), "--port", "0", "--data", str(tmp_path / "data"), "--workers", "1"),
        STRIDE_URL="http://127.0.0.1:9",
    )
    assert process.stderr is not None
    assert any(line.startswith("running") for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert re.search(r"^The job is kept\. To go on with it: stride run \S+slow\.py --go-on [0-9a-f]{8}$", said, re.M)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1", "holds no objective"),
        ("def objective(trial):\n    trial.suggest_float('x', 0, 1)", "no parameter called learning_rate or lr"),
        ("import no_such_module", "No module named 'no_such_module'"),
        (SCRIPT.replace("def objective", "def objective(", 1), "line 5"),
    ],
)
def test_a_script_that_cannot_be_run_is_one_sentence(tmp_path: Path, source: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(source)
    assert_fails(run("run", str(tmp_path / "mine.py")), 2, said)


def test_what_the_options_cannot_be_is_one_sentence(script: Path, tmp_path: Path) -> None:
    assert_fails(run("run", str(tmp_path / "none.py")), 2, f"there is no file {tmp_path / 'none.py'}")
    assert_fails(run("run", str(script), "--direction", "up"), 2, "--direction is 'up': it must be minimize or maximize")
    assert_fails(run("run"), 2, "Name what trains: a FILE, or a command with --command.")
    assert_fails(run("run", "--command", "train {lr} {bs}"), 2, "it is not known what {bs} may be: say it with --param")
    assert_fails(run("run", "--command", "no-such-program {lr}"), 2, "there is no program 'no-such-program' here")
    (tmp_path / "job.yaml").write_text("{objective: {name: digits}}")
    assert_fails(run("run", str(script), "--job", str(tmp_path / "job.yaml")), 2, "is a job of digits, not of tune")
    (tmp_path / "job.yaml").write_text("{search_space: {lr: {type: float, low: 1e-4, hight: 1.0}}}")
    assert_fails(run("run", str(script), "--job", str(tmp_path / "job.yaml")), 2, "job.yaml: search_space/lr/float/high: Field ")
    (tmp_path / "job.yaml").write_text("{search_space: {momentum: 0.9}}")
    assert_fails(run("run", str(script), "--job", str(tmp_path / "job.yaml")), 2, "suggests 'lr', which is not in the job's")
    (tmp_path / "list.json").write_text(json.dumps([1]))
    assert_fails(run("run", str(script), "--job", str(tmp_path / "list.json")), 2, "list.json")

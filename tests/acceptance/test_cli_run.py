"""`stride run`: from a script to an answer."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from service.store.embedded import EmbeddedPostgres
from tests.acceptance.conftest import DEADLINE_S, REPOSITORY, assert_fails, environment, run, run_anew
from tests.acceptance.forked_stride import start_with
from tests.acceptance.scripts import SCRIPT
from tests.forks import Forked
from tests.polling import wait_until

SLOW = SCRIPT.replace("import math\n", "import math\nimport time\n").replace(
    "        trial.report", "        time.sleep(1)\n        trial.report"
)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "tune.py"
    path.write_text(SCRIPT)
    return path


def test_an_optuna_script_is_answered_in_one_command_and_goes_on_in_another(script: Path) -> None:
    place = ["run", str(script), "--port", "0", "--data", str(script.parent / "data"), "--workers", "1"]
    first = run(*place, "--trials", "6", "--strategy", "random", "--steps", "3", STRIDE_URL="http://127.0.0.1:9")
    assert first.returncode == 0, first.stderr
    assert "tune: minimize value; learning rate: lr; searched: lr 0.0001 to 1 (log)\n" in first.stderr
    assert "completed 6/6" in first.stderr
    assert re.search(r"^Learning rate 0\.\d+", first.stdout)
    found = re.search(
        rf"^More trials: stride run {re.escape(str(script))} (--steps 3 --go-on \w+ --trials) 16$", first.stderr, re.M
    )
    assert found, first.stderr
    further = run(*place, *found[1].split(), "2", STRIDE_URL="http://127.0.0.1:9")
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


@dataclass(frozen=True)
class Begun:
    """A `stride run` in a process of its own, which writes to files."""

    process: Forked
    place: Path

    @property
    def said(self) -> str:
        return self.place.with_suffix(".err").read_text()

    @property
    def answer(self) -> str:
        return self.place.with_suffix(".out").read_text()

    def wait_until_said(self, words: str) -> None:
        wait_until(lambda: words in self.said or self.process.poll() is not None, words)
        assert words in self.said, self.said

    def ended(self) -> int:
        return self.process.wait(DEADLINE_S)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Begun]]:
    """Begins a run with the data folder `data`; all of them are killed after the test."""
    begun: list[Begun] = []

    def start_run(script: str, *options: str) -> Begun:
        place, data = tmp_path / f"run{len(begun)}", tmp_path / "data"
        command = ["run", str(tmp_path / "tune.py"), "--port", "0", "--data", str(data), *options]
        (tmp_path / "tune.py").write_text(script)
        with open(os.devnull) as nothing, open(f"{place}.out", "wb") as out, open(f"{place}.err", "wb") as err:
            streams = [each.fileno() for each in (nothing, out, err)]
            process = start_with(command, environment(STRIDE_DATA_DIR=str(data)), REPOSITORY, streams)
        begun.append(Begun(process, place))
        return begun[-1]

    yield start_run
    for each in begun:
        each.process.kill()
        each.process.wait()


def everything_of(folder: Path) -> list[str]:
    """The command lines of the processes that name the folder, or were started with it in their environment."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if str(folder) in f"{process.cmdline()} {process.environ()}":
                found.append(" ".join(process.cmdline()))
    return found


KEPT = re.compile(r"^The job is kept\. To go on with it: stride run \S+tune\.py --go-on [0-9a-f]{8}$", re.M)


def test_ctrl_c_keeps_the_job_and_says_how_to_go_on(begin: Callable[..., Begun]) -> None:
    run = begin(SLOW, "--workers", "1")
    run.wait_until_said("\nrunning")
    run.process.send_signal(signal.SIGINT)
    assert run.ended() == 130
    assert KEPT.search(run.said)
    assert "Traceback" not in run.said


def test_ctrl_c_again_and_again_leaves_nothing(begin: Callable[..., Begun], tmp_path: Path) -> None:
    run = begin(SCRIPT, "--workers", "1")
    wait_until((tmp_path / "data" / "postgres" / "postmaster.pid").exists, "a PostgreSQL that starts")
    while run.process.poll() is None:
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert run.ended() == 130
    assert "Traceback" not in run.said
    wait_until(lambda: not everything_of(tmp_path / "data"), "the end of all its processes")


def test_a_database_that_cannot_be_started_again_is_an_error_and_the_job_is_kept(
    begin: Callable[..., Begun], tmp_path: Path
) -> None:
    run = begin(SLOW, "--workers", "1")
    run.wait_until_said("\nrunning")
    cluster = tmp_path / "data" / "postgres"
    (cluster / "global" / "pg_control").rename(tmp_path / "pg_control")
    os.kill(int((cluster / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert run.ended() == 2
    assert f"\nstride: PostgreSQL did not start in {cluster.parent}. " in run.said
    assert KEPT.search(run.said)
    assert "Traceback" not in run.said


def test_runs_in_one_folder_end_with_their_own_answers_whichever_ends_first(begin: Callable[..., Begun], tmp_path: Path) -> None:
    """The first ends; a second one, which takes over what that ran, is killed; the last one takes over and ends."""
    options, script = ["--workers", "1", "--strategy", "random"], SLOW.replace("sleep(1)", "sleep(0.4)")
    first = begin(script, *options, "--trials", "3")
    wait_until((tmp_path / "data" / "postgres" / "postmaster.pid").exists, "the first one's PostgreSQL")
    others = [begin(script, *options, "--trials", "12") for _ in range(2)]
    for each in others:
        each.wait_until_said("\nrunning")
    assert first.ended() == 0, first.said
    pids = {str(each.process.pid): each for each in others}
    holder = tmp_path / "data" / "lock"
    wait_until(lambda: holder.read_text().partition(" ")[0] in pids, "another one that takes over")
    second = pids.pop(holder.read_text().partition(" ")[0])
    [last] = pids.values()
    second.process.kill()
    assert last.ended() == 0, last.said
    assert "service.taken_over" in last.said
    assert "completed 12/12" in last.said
    for each in (first, last):
        assert re.search(r"^Learning rate 0\.\d+", each.answer)
    left = r"^Job (\w{8}) of it is left at \d+/\d+ trials\. To go on with it: stride run \S+ --go-on \1$"
    assert re.search(left, second.said + last.said, re.M), second.said + last.said
    assert not everything_of(tmp_path / "data")
    with EmbeddedPostgres.start(tmp_path / "data") as server, psycopg.connect(server.url.replace("+psycopg", "")) as conn:
        trained_by = conn.execute("SELECT count(DISTINCT worker_id) FROM stride.leases GROUP BY job_id").fetchall()
    assert trained_by == [(1,), (1,), (1,)], "a run's worker trains its own job only"


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

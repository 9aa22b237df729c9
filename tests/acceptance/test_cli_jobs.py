"""The commands about jobs, on a running Stride."""

import http.server
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import DEADLINE_S, REPOSITORY, RunningStride, assert_fails, run, start, start_anew

QUICK = """
name: quick
objective: {name: quadratic}
search_space: {learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true, points: 4}}
strategy: grid
"""
GRID = {"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True, "points": 4}}


@pytest.fixture
def slow_job(stride: RunningStride) -> Iterator[str]:
    """The id of a job that goes on for minutes, if nobody cancels it."""
    job_id = stride.submit(objective={"name": "quadratic", "settings": {"epoch_s": 0.2}}, budget={"trials": 1000})
    yield job_id
    if stride.ask("GET", f"/v1/jobs/{job_id}")["state"] != "cancelled":
        stride.ask("POST", f"/v1/jobs/{job_id}/cancel")


@pytest.fixture(scope="module")
def done_job(stride: RunningStride) -> str:
    """The id of a job that is done."""
    job_id = stride.submit(name="quick", search_space=GRID, strategy="grid")
    assert stride.wait_until_done(job_id)["state"] == "completed"
    return job_id


@pytest.fixture
def another_server() -> Iterator[str]:
    """The URL of a server that is not Stride."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_submit_watches_the_job_to_its_end_and_shows_it(stride: RunningStride, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(QUICK)
    result = stride.run("submit", str(tmp_path / "job.yaml"), "--watch")
    assert result.returncode == 0, result.stderr
    assert "completed 4/4, best trial 0.1 at learning rate 0.01" in result.stderr
    assert re.search(r"state +completed", result.stdout)
    assert re.search(r"best loss +0.1 in trial \d: .*learning_rate=0.01", result.stdout)
    assert re.search(r"stride best-lr [0-9a-f]{8}$", result.stderr, re.M)
    assert re.search(rf"page +{stride.url}/jobs/[0-9a-f]{{8}} *$", result.stdout, re.M)


def test_submit_warns_of_a_wide_linear_range_of_rates_and_submits_it(stride: RunningStride) -> None:
    linear = QUICK.replace("log: true, ", "")
    for option in ("--dry-run", "--json"):
        result = stride.run("submit", "-", option, stdin=linear)
        assert result.returncode == 0, result.stderr
        assert re.search('^Warning: /search_space/learning_rate: the range is linear .* set "log": true.$', result.stderr, re.M)
    assert json.loads(result.stdout)["warnings"][0]["pointer"] == "/search_space/learning_rate"
    assert "Warning" not in stride.run("submit", "-", "--dry-run", stdin=QUICK).stderr


def test_submit_reads_standard_input_and_prints_json_for_machines(stride: RunningStride) -> None:
    result = stride.run("submit", "-", "--json", stdin='{"objective": {"name": "quadratic"}, "budget": {"trials": 1}, "seed": 3}')
    assert result.returncode == 0, result.stderr
    job = json.loads(result.stdout)
    assert (job["state"], job["spec"]["seed"], job["progress"]["trials"]["planned"]) == ("queued", 3, 1)


def test_watching_with_json_prints_the_finished_job_and_nothing_else(stride: RunningStride) -> None:
    result = stride.run("submit", "-", "--watch", "--json", stdin=QUICK)
    job = json.loads(result.stdout)
    assert (job["state"], job["progress"]["trials"]["complete"]) == ("completed", 4)


def test_a_dry_run_says_what_the_job_would_do_and_creates_nothing(stride: RunningStride) -> None:
    before = stride.ask("GET", "/v1/jobs?limit=1")["items"]
    result = stride.run("submit", "-", "--dry-run", stdin=QUICK)
    assert result.returncode == 0, result.stderr
    assert re.search(r"trials +4", result.stdout)
    assert re.search(r"epochs +about 16, at most 16", result.stdout)
    assert result.stdout.count("learning_rate=") == 4
    assert [job["id"] for job in stride.ask("GET", "/v1/jobs?limit=1")["items"]] == [job["id"] for job in before]


def test_compare_says_which_recipe_is_better_at_its_own_rate(stride: RunningStride) -> None:
    wide = GRID | {"learning_rate": GRID["learning_rate"] | {"points": 10}}
    jobs = []
    for mode, noise, seed in (("plain", 0.0, 0), ("fancy", 0.3, 1)):
        objective = {"name": "quadratic", "settings": {"seed_noise": noise}}
        space = wide | {"mode": mode}
        jobs.append(stride.submit(objective=objective, search_space=space, strategy="grid", seed=seed, replicates=2))
    for job in jobs:
        stride.wait_until_done(job)
    result = stride.run("compare", *jobs, "--learning-rate", "0.01")
    assert result.returncode == 0, result.stderr
    for job, recipe in zip(jobs, ("mode=plain", "mode=fancy"), strict=True):
        assert re.search(rf"{job[:8]} +{recipe} +0.0\d+ ", result.stdout), result.stdout
    assert "is best: it expects" in result.stdout
    assert "At one learning rate of 0.01 for all" in result.stdout
    its_page = f"{stride.url}/compare?jobs={jobs[0][:8]},{jobs[1][:8]}&learning_rate=0.01"
    assert f"Its page: {its_page}" in result.stdout
    assert len(json.loads(stride.run("compare", *jobs, "--json").stdout)["jobs"]) == 2
    assert_fails(stride.run("compare", jobs[0]), 2, "/jobs: should be 2 to 20 jobs, not 1", lines=2)


def test_a_report_is_a_page_in_a_file(stride: RunningStride, done_job: str, tmp_path: Path) -> None:
    result = stride.run("report", done_job[:8], "-o", str(tmp_path / "report.html"))
    assert (result.returncode, result.stderr) == (0, "")
    written = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert written.startswith("<!doctype html>")
    assert "Learning rate <strong>0.01" in written
    assert stride.run("report", done_job, "-o", "-").stdout.startswith("<!doctype html>")
    assert_fails(stride.run("report", done_job, "-o", str(tmp_path)), 2, "cannot be written: is a directory")


def test_a_dry_run_cannot_be_watched() -> None:
    result = run("submit", "-", "--dry-run", "--watch")
    assert result.returncode == 2
    assert "--dry-run creates no job" in result.stderr


def test_the_example_is_a_valid_job(stride: RunningStride) -> None:
    result = stride.run("submit", "examples/job.yaml", "--dry-run", "--json")
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    assert plan["trials"] == 32
    assert plan["spec"]["search_space"]["learning_rate"]["low"] == 1e-5


def test_every_fault_of_a_job_is_told_with_its_place(stride: RunningStride) -> None:
    faulty = "objective: {name: quadratic}\nsearch_space: {learning_rate: {type: float, low: 2, high: 1}, width: 3}\n"
    result = stride.run("submit", "-", stdin=faulty)
    assert_fails(result, 2, "\n  /search_space/learning_rate: the range is empty", lines=2)
    result = stride.run("submit", "-", stdin=faulty.replace("high: 1", "high: 3"))
    assert_fails(result, 2, "\n  /search_space/width: quadratic has no parameter 'width'", lines=2)


def test_a_file_that_holds_no_job_is_refused(tmp_path: Path) -> None:
    assert_fails(run("submit", str(tmp_path / "absent.yaml")), 2, "absent.yaml cannot be read: no such file")
    assert_fails(run("submit", "-", stdin="objective: [1"), 2, "standard input is neither YAML nor JSON", "in line 1")


def test_jobs_lists_the_newest_first(stride: RunningStride, slow_job: str) -> None:
    result = stride.run("jobs", "--limit", "3")
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if "quadratic" in line]
    assert rows[0][0] == slow_job[:8]
    assert 1 <= len(rows) <= 3
    listed = json.loads(stride.run("jobs", "--json", "--state", "cancelled").stdout)["items"]
    assert {job["state"] for job in listed} <= {"cancelled"}
    assert_fails(stride.run("jobs", "--state", "sleeping"), 2, "\n  /state: ", lines=2)


def test_a_job_is_called_by_its_id_or_its_beginning_or_as_the_latest(stride: RunningStride, done_job: str, slow_job: str) -> None:
    for name in (done_job.upper(), done_job[:8]):
        assert done_job in stride.run("show", name).stdout
    assert slow_job in stride.run("show", "latest").stdout
    assert_fails(stride.run("show", "zzz"), 2, "no job whose id begins with 'zzz'")
    assert_fails(stride.run("show", "00000000-0000-4000-8000-000000000000"), 2, "There is no job 00000000")


def test_an_ambiguous_beginning_of_an_id_is_refused(stride: RunningStride, done_job: str) -> None:
    known: dict[str, str] = {done_job[0]: done_job}
    while True:  # at the latest the 17th shares its first digit with another
        job_id = stride.submit(budget={"trials": 1})
        if job_id[0] in known:
            assert_fails(stride.run("show", job_id[0]), 2, "jobs have ids that begin with")
            return
        known[job_id[0]] = job_id


def test_events_are_followed_until_the_job_ends(stride: RunningStride, slow_job: str) -> None:
    following = start("events", slow_job, "--follow", STRIDE_URL=stride.url)
    assert f"job.submitted{' ' * 11}objective=quadratic" in following.stdout.readline()
    stride.ask("POST", f"/v1/jobs/{slow_job}/cancel")
    said, _ = following.communicate(timeout=DEADLINE_S)
    assert following.returncode == 0
    assert "job.cancelled" in said.splitlines()[-1]
    document = json.loads(stride.run("events", slow_job, "--json").stdout)
    assert [event["seq"] for event in document["items"]] == list(range(1, len(said.splitlines()) + 2))


def test_a_jobs_trials_are_listed_and_each_is_shown_with_its_log(stride: RunningStride, done_job: str) -> None:
    result = stride.run("trials", done_job)
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if "complete" in line]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    assert [row[-1] for row in rows] == ["4"] * 4, "epochs"
    assert re.search(r"attempts +1: \S+, .* UTC, finished", stride.run("trial", done_job, "2").stdout)
    assert re.fullmatch(r"training at \S+\n", stride.run("log", done_job, "2").stdout)


def test_workers_are_listed(stride: RunningStride) -> None:
    shown = stride.run("workers", "--limit", "1").stdout
    assert len(re.findall("quadratic", shown)) == 1
    assert "There are more: --limit shows up to 100." in shown


def test_a_job_is_deleted_once_somebody_has_said_yes(stride: RunningStride) -> None:
    job_id = stride.submit(name="to go", search_space=GRID, strategy="grid")
    stride.wait_until_done(job_id)
    assert_fails(stride.run("delete", job_id), 2, "Nothing was deleted", "give --yes")
    for said, code in ((b"n\n", 1), (b"y\n", 0)):
        terminal, other_end = pty.openpty()
        os.write(terminal, said)
        asked = start_anew("delete", job_id[:8], stdin=other_end, STRIDE_URL=stride.url)
        shown, question = asked.communicate(timeout=DEADLINE_S)
        assert f"Delete job {job_id} 'to go', which is completed, with all that is stored of its 4 trials?" in question
        assert (asked.returncode, shown.strip()) == (code, f"Job {job_id} was deleted." if code == 0 else "")
        os.close(terminal)
        os.close(other_end)
    assert_fails(stride.run("delete", job_id, "--yes"), 2, f"There is no job {job_id}")


def test_best_lr_answers_with_the_rate_and_its_evidence(stride: RunningStride, done_job: str) -> None:
    result = stride.run("best-lr", done_job)
    assert result.returncode == 0, result.stderr
    assert re.match(r"Learning rate 0.0\d+; the best one lies between", result.stdout)
    assert "in trial 2: " in result.stdout or "loss was 0.1 in trial" in result.stdout
    assert "This rests on 4 trials." in result.stdout
    assert f"Its page: {stride.url}/jobs/{done_job[:8]}\n" in result.stdout
    assert json.loads(stride.run("best-lr", done_job, "--json").stdout)["learning_rate"] == pytest.approx(0.01, rel=0.3)
    assert_fails(stride.run("best-lr", done_job, "--tolerance", "0"), 2, "\n  /tolerance: should be greater than 0", lines=2)


def test_the_trade_off_of_a_job_names_its_front(stride: RunningStride, done_job: str) -> None:
    result = stride.run("trade-off", done_job, "--target", "0.5")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("To a loss of 0.5: as asked for.\n")
    assert re.search(r"^ +0.01 +- ", result.stdout, re.M)
    assert_fails(stride.run("batch-scaling", done_job), 2, "takes a job that searches both")


def test_best_lr_says_when_there_is_no_answer_yet(stride: RunningStride) -> None:
    job_id = stride.submit(objective={"name": "quadratic", "settings": {"epoch_s": 5}})
    assert_fails(stride.run("best-lr", job_id), 2, "no answer yet")
    stride.ask("POST", f"/v1/jobs/{job_id}/cancel")


def test_best_lr_of_all_shows_each_recipe_and_which_jobs_have_no_answer(stride: RunningStride) -> None:
    label = ("--label", "of:all")
    nothing = stride.run("best-lr", "--all", *label)
    assert (nothing.returncode, nothing.stdout) == (0, "No such job has an answer yet.\n"), nothing
    jobs = [stride.submit(search_space=GRID | {"epochs": epochs}, strategy="grid", labels={"of": "all"}) for epochs in (1, 2)]
    for job_id in jobs:
        stride.wait_until_done(job_id)
    result = stride.run("best-lr", "--all", "--objective", "quadratic", "--metric", "loss", *label)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("quadratic: loss, minimized\n")
    assert all(part in result.stdout for part in ("epochs=1", "epochs=2", "4 trials", *(job_id[:8] for job_id in jobs)))
    document = json.loads(stride.run("best-lr", "--all", "--json", *label).stdout)
    assert sorted(item["jobs"] for item in document["items"]) == sorted([job_id] for job_id in jobs)
    assert (document["next_cursor"], document["left_out"]) == (None, [])
    assert_fails(stride.run("best-lr", "--all", "--objective", "nonsense"), 2, "\n  /objective: there is no objective", lines=2)
    assert_fails(stride.run("best-lr", "--all", "--label", "team"), 2, "\n  /label/0: should look like name:value", lines=2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give a job, or --all for the best rate of each recipe across jobs."),
        (("latest", "--all"), "Give either a job or --all."),
        (("--all", "--tolerance", "0.1"), "--tolerance goes with a job: it is in the units of one metric."),
        (("latest", "--objective", "quadratic"), "--objective, --metric and --label go with --all."),
        (("latest", "--label", "a:b"), "--objective, --metric and --label go with --all."),
    ],
)
def test_best_lr_is_of_a_job_or_of_all(arguments: tuple[str, ...], said: str) -> None:
    assert_fails(run("best-lr", *arguments), 2, said)


def test_a_job_is_paused_resumed_and_cancelled(stride: RunningStride, slow_job: str) -> None:
    assert stride.run("pause", slow_job).stdout == f"Job {slow_job} is paused.\n"
    assert stride.run("resume", slow_job[:13]).stdout in {f"Job {slow_job} is {state}.\n" for state in ("running", "queued")}
    assert json.loads(stride.run("cancel", slow_job, "--json").stdout)["state"] == "cancelled"
    assert_fails(stride.run("resume", slow_job), 2, "is cancelled")


def test_watching_a_job_that_somebody_cancels_ends_with_exit_code_1(stride: RunningStride, slow_job: str) -> None:
    watching = start("show", slow_job, "--watch", STRIDE_URL=stride.url)
    assert watching.stderr.readline().startswith(("queued", "running"))
    stride.ask("POST", f"/v1/jobs/{slow_job}/cancel")
    _, said = watching.communicate(timeout=DEADLINE_S)
    assert watching.returncode == 1
    assert f"stride: Job {slow_job} was cancelled" in said


def test_ctrl_c_ends_the_watching_quietly_and_not_the_job(stride: RunningStride, slow_job: str) -> None:
    watching = start("show", slow_job, "--watch", STRIDE_URL=stride.url)
    watching.stderr.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=DEADLINE_S)
    assert watching.returncode == 130
    assert f"stride show {slow_job[:8]} --watch" in said
    assert "Traceback" not in said
    assert stride.ask("GET", f"/v1/jobs/{slow_job}")["state"] in {"queued", "running"}


def test_a_terminal_shows_the_progress_in_place_with_the_rate_so_far(stride: RunningStride, slow_job: str) -> None:
    terminal, other_end = pty.openpty()
    watching = start_anew("show", slow_job, "--watch", stderr=other_end, STRIDE_URL=stride.url, TERM="xterm")
    os.close(other_end)
    shown, deadline = "", time.monotonic() + DEADLINE_S
    while "best rate so far" not in shown:
        assert time.monotonic() < deadline, shown[-2_000:]
        shown += os.read(terminal, 65_536).decode()
    watching.send_signal(signal.SIGINT)
    while said := _read_to_the_end(terminal):
        shown += said
    watching.communicate(timeout=DEADLINE_S)
    assert watching.returncode == 130
    os.close(terminal)
    assert re.search(r"running.*━.* \d+/1000", shown)
    assert re.search(r"\d running, \d+ complete", shown)
    assert f"{stride.url}/jobs/{slow_job[:8]}" in shown
    assert f"stride show {slow_job[:8]} --watch" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is hidden"


def _read_to_the_end(terminal: int) -> str:
    try:
        return os.read(terminal, 65_536).decode()
    except OSError:  # as Linux says that nobody has the other end open
        return ""


def test_objectives_are_listed_with_what_they_take(stride: RunningStride) -> None:
    result = stride.run("objectives")
    assert result.returncode == 0, result.stderr
    assert "quadratic" in result.stdout
    assert "learning_rate: 1e-05 to 1 (log, points 11)" in result.stdout
    assert {"quadratic", "image-classification"} <= {
        item["name"] for item in json.loads(stride.run("objectives", "--json").stdout)["items"]
    }


def test_a_service_that_is_not_there_is_exit_code_1(another_server: str) -> None:
    assert_fails(run("jobs", "--url", "http://127.0.0.1:9"), 1, "does not answer at http://127.0.0.1:9", "stride up")
    assert_fails(run("jobs", "--url", another_server), 1, "is not Stride")


def test_wrong_settings_are_one_line_and_exit_code_2() -> None:
    assert_fails(run("jobs", STRIDE_PORT="many"), 2, "STRIDE_PORT: Input should be a valid integer")
    assert_fails(run("up", STRIDE_LEASE_S="5"), 2, "STRIDE_HEARTBEAT_S (10) must be at most a third of STRIDE_LEASE_S (5)")


def test_help_is_quick_since_it_loads_nothing_heavy() -> None:
    look = (
        "import sys; sys.argv = ['stride', '--help']; from service.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([name for name in ('optuna', 'torch', 'sqlalchemy', 'fastapi', 'pydantic', 'httpx2') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", look], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "Exit codes" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"

"""`stride run` where a Stride runs already: its workers join that one."""

from pathlib import Path

from tests.acceptance.conftest import RunningStride, assert_fails, run
from tests.acceptance.scripts import SCRIPT

CONDITIONAL = SCRIPT.replace(
    "    for step",
    "    if trial.suggest_categorical('optimizer', ['sgd', 'adam']) == 'sgd':\n"
    "        trial.suggest_float('momentum', 0.0, 0.99)\n"
    "    for step",
)


def test_workers_join_a_stride_that_runs(stride: RunningStride, tmp_path: Path) -> None:
    """By the way: a job file states the space that an objective with a conditional one does not tell."""
    script = tmp_path / "tune.py"
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
    assert f" at {stride.url}/jobs/" in result.stderr
    [mine] = [each for each in stride.ask("GET", "/v1/jobs")["items"] if each["name"] == "mine"]
    assert (mine["state"], mine["progress"]["trials"]["complete"]) == ("completed", 3)
    assert len([each for each in stride.ask("GET", "/v1/workers")["items"] if each["state"] != "stopped"]) == 2
    script.write_text(f"{CONDITIONAL}\n# edited\n")
    options = ["--go-on", mine["id"], "--job", job, "--data", str(stride.folder), "--workers", "1"]
    for path, said in ((script, "was begun with another version of tune"), (tmp_path / "other.py", "trains tune, not other")):
        refused = run("run", str(path if path.exists() else script.rename(path)), *options, STRIDE_URL=stride.url)
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    assert stride.ask("GET", f"/v1/jobs/{mine['id']}")["state"] == "completed", "it was not extended"

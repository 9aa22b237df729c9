"""Optuna objectives in users' scripts, unchanged, trained by real trainer and script processes."""

import math
from pathlib import Path
from typing import Any

import optuna
import pytest

from objectives.own_modules import CatalogProblem
from service.domain.job import Job
from service.domain.trial import Trial, TrialState
from service.store.postgres import Database
from tests.integration.worker.scripts import described, job_of, training
from tests.integration.worker.supervised import curve_of, trial_of
from tests.stock_optuna import stock

HEAD = "import optuna\n\ndef objective(trial):\n    lr = trial.suggest_float('lr', 0.01, 1.0, log=True)\n"
SPACE = {"lr": {"type": "float", "low": 0.01, "high": 1.0, "log": True}}


def script(folder: Path, body: str, head: str = HEAD) -> Path:
    path = folder / "study.py"
    path.write_text(head + "".join(f"    {line}\n" for line in body.strip("\n").split("\n")))
    return path


def optuna_job(database: Database, **overrides: Any) -> Job:
    return job_of(database, "study", **{"metric": "value", "search_space": SPACE} | overrides)


def ended(database: Database, folder: Path, body: str, head: str = HEAD, steps: int | None = None, **overrides: Any) -> Trial:
    job = optuna_job(database, **overrides)
    with training(database, script(folder, body, head), {"steps": steps}) as worker:
        for _ in range(job.budget.trials or 1):
            worker.run_trial()
    return trial_of(database, job, (job.budget.trials or 1) - 1)


def test_a_value_that_is_only_returned_is_the_trials_one_step(database: Database, tmp_path: Path) -> None:
    job = optuna_job(database)
    with training(database, script(tmp_path, "trial.set_user_attr('twice', 2 * lr)\nreturn 3 * lr")) as worker:
        worker.run_trial()
    trial, [step] = trial_of(database, job), curve_of(database, job)
    lr = float(trial.params["lr"])
    assert (trial.state, trial.value, trial.user_attrs["twice"]) == (TrialState.COMPLETE, 3 * lr, 2 * lr)
    assert (step.step, dict(step.metrics), step.learning_rate) == (1, {"value": 3 * lr}, lr)


def test_the_returned_value_counts_whatever_was_reported_last(database: Database, tmp_path: Path) -> None:
    body = "for step in range(3):\n    trial.report(step, step)\n    trial.report(9.0, step)\nreturn 0.5"
    job = optuna_job(database)
    with training(database, script(tmp_path, body), {"steps": 3}) as worker:
        worker.run_trial()
    assert trial_of(database, job).value == 0.5
    steps = [(item.step, item.fraction, item.metrics["value"]) for item in curve_of(database, job)]
    assert steps == [(1, pytest.approx(1 / 3), 0.0), (2, pytest.approx(2 / 3), 1.0), (3, 1.0, 2.0)], "a step counts once"


def test_stock_optuna_reads_the_trial_as_its_own(database: Database, database_url: str, tmp_path: Path) -> None:
    job = optuna_job(database)
    body = "for step in range(3):\n    trial.report(lr + step, step)\ntrial.set_user_attr('note', 'x')\nreturn lr"
    with training(database, script(tmp_path, body)) as worker:
        worker.run_trial()
    with stock(database_url) as storage:
        [trial] = optuna.load_study(study_name=job.study_name, storage=storage).trials
    lr = trial.params["lr"]
    assert (trial.value, trial.user_attrs["note"]) == (lr, "x")
    assert trial.intermediate_values == {1: lr, 2: lr + 1, 3: lr + 2}


def test_the_values_come_from_the_job_with_their_types(database: Database, tmp_path: Path) -> None:
    head = """
def objective(trial):
    lr = trial.suggest_float("lr", 0.01, 1.0, log=True)
    n = trial.suggest_int("n", 1, 8)
    act = trial.suggest_categorical("act", [None, "relu", 3])
    batch = trial.suggest_categorical("batch", [16, 32])
"""
    space = {"lr": 0.1, "n": 4, "act": "None", "batch": {"type": "categorical", "choices": [16, 32]}}
    body = "trial.set_user_attr('got', [repr((lr, n, act)), trial.number, sorted(map(str, trial.params))])\nreturn batch"
    trial = ended(database, tmp_path, body, head, search_space=space)
    assert trial.user_attrs["got"] == ["(0.1, 4, None)", 0, ["act", "batch", "lr", "n"]]
    assert trial.value in (16.0, 32.0)


def test_it_is_pruned_as_it_asks_to_be(database: Database, tmp_path: Path) -> None:
    body = """
for step in range(4):
    trial.set_user_attr("reached", step)
    trial.report(float(trial.number), step)
    if trial.should_prune():
        trial.set_user_attr("pruned_at_step", 9)
        trial.set_user_attr("said", ["too high"])
        raise optuna.TrialPruned()
return float(trial.number)
"""
    pruner = {"type": "median", "startup_trials": 1, "parts": 4}
    trial = ended(database, tmp_path, body, steps=4, budget={"trials": 2}, pruner=pruner)
    assert (trial.state, trial.value, trial.user_attrs["pruned_at_step"]) == (TrialState.PRUNED, 1.0, 1)
    assert (trial.user_attrs["reached"], trial.user_attrs["said"]) == (0, ["too high"])


def test_what_it_has_noted_is_kept_though_it_takes_long_to_return(database: Database, tmp_path: Path) -> None:
    body = """
for step in range(4):
    trial.set_user_attr("reached", step)
    trial.report(float(trial.number), step)
    if trial.should_prune():
        time.sleep(3)
        trial.set_user_attr("reached", "the end")
        break
return float(trial.number)
"""
    pruner = {"type": "median", "startup_trials": 1, "parts": 4}
    trial = ended(database, tmp_path, body, "import time\n" + HEAD, steps=4, budget={"trials": 2}, pruner=pruner)
    assert (trial.state, trial.user_attrs["reached"], len(trial.attempts)) == (TrialState.PRUNED, 0, 1)


def test_a_parameter_that_it_suggests_after_its_first_report_is_named_with_the_cure(database: Database, tmp_path: Path) -> None:
    trial = ended(database, tmp_path, "trial.report(2.0, 0)\nreturn trial.suggest_float('late', 0.0, 1.0)")
    assert trial.state is TrialState.FAILED
    assert trial.error is not None
    assert trial.error.message == (
        "the objective suggests 'late' after its first report, and it is not in the job's search space: suggest all parameters"
        " before the first report, or state the search space in a job file"
    )


def test_it_may_prune_itself(database: Database, tmp_path: Path) -> None:
    trial = ended(database, tmp_path, "trial.report(2.0, 0)\ntrial.set_user_attr('a', 1)\nraise optuna.TrialPruned('too wide')")
    assert (trial.state, trial.value, trial.user_attrs["a"]) == (TrialState.PRUNED, 2.0, 1)
    assert trial.user_attrs["stopped_by"] == "the script raised TrialPruned: too wide"


def test_it_may_prune_itself_before_it_has_reported(database: Database, tmp_path: Path) -> None:
    trial = ended(database, tmp_path, "trial.set_user_attr('a', 1)\nraise optuna.TrialPruned()")
    assert (trial.state, trial.value, trial.user_attrs["pruned_at_step"]) == (TrialState.PRUNED, None, 0)
    assert trial.user_attrs["a"] == 1


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')"])
def test_a_returned_value_that_is_no_number_has_diverged(database: Database, tmp_path: Path, value: str) -> None:
    trial = ended(database, tmp_path, f"return {value}")
    assert (trial.state, trial.value) == (TrialState.INFEASIBLE, math.inf)
    after_reports = ended(database, tmp_path, f"trial.report(1.0, 0)\nreturn {value}")
    assert (after_reports.state, after_reports.value) == (TrialState.INFEASIBLE, math.inf)


@pytest.mark.parametrize(
    ("body", "type_", "says"),
    [
        ("return None", "TypeError", "what objective returned is None: it must be one number"),
        ("return 1.0, 2.0", "TypeError", "objective returned 2 values: Stride tunes one"),
        ("trial.report('x', 0)", "TypeError", "the reported value is 'x', which is text: it must be a number"),
        ("trial.report(1.0, -1)", "ValueError", "the step is -1: it must not be negative"),
        ("trial.report(1.0, 3)\ntrial.report(1.0, 2)", "ValueError", "step 2 was reported after step 3"),
    ],
)
def test_what_it_does_wrong_fails_the_trial(database: Database, tmp_path: Path, body: str, type_: str, says: str) -> None:
    trial = ended(database, tmp_path, body)
    assert trial.error is not None
    assert (trial.error.type, trial.error.message[: len(says)]) == (type_, says)


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"lr": 2.0}, "the job gives lr the value 2.0, which lies outside: the objective suggests 0.01 to 1 on a logarithmic"),
        ({"lr": 0.5, "other": 1}, None),
        ({"other": 0.5}, None),
    ],
)
def test_a_job_that_contradicts_its_calls_fails_with_a_sentence(
    database: Database, tmp_path: Path, space: dict[str, Any], says: str | None
) -> None:
    trial = ended(database, tmp_path, "return lr", search_space=space)
    if says is None:
        assert trial.state is TrialState.COMPLETE
        return
    assert trial.error is not None
    assert (trial.error.type, trial.error.message[: len(says)]) == ("ContradictsSpace", says)


def test_a_direction_and_a_rate_may_be_named(tmp_path: Path) -> None:
    path = script(tmp_path, "return lr", HEAD.replace("'lr'", "'eta'"))
    with pytest.raises(CatalogProblem, match="study has no parameter called learning_rate or lr: name the learning rate with"):
        described(path)
    [found] = described(path, learning_rate="eta", direction="maximize").values()
    assert [metric.direction for metric in found.objective.metrics] == ["maximize"]
    [eta] = found.objective.parameters
    assert (eta.role, eta.low, eta.high) == ("learning_rate", 0.01, 1.0)


def test_an_objective_of_another_name_may_be_chosen(tmp_path: Path) -> None:
    path = script(tmp_path, "return lr", HEAD.replace("objective", "mine"))
    path = path.rename(tmp_path / "study.py")
    with pytest.raises(CatalogProblem, match=r"study\.py holds no objective"):
        described(path)
    assert list(described(Path(f"{path}:mine"))) == ["mine"]


@pytest.mark.parametrize(
    ("head", "body", "says"),
    [
        ("def objective(trial):\n", "return 1.0", "study.py's objective suggests nothing before its first report"),
        (HEAD, "1 / 0", "asked for its search space, raised ZeroDivisionError: division by zero ({path}, line 5)"),
        (
            HEAD,
            "if trial.suggest_categorical('deep', [True, False]):\n    trial.suggest_int('layers', 1, 9)\nreturn lr",
            "study.py's objective has no fixed search space: it suggests layers differently for other values, ",
        ),
        (HEAD, "trial.suggest_float('lr', 1.0, 0.1)", "raised ValueError: lr was suggested from 1.0 to 0.1: the range is empty"),
    ],
)
def test_an_objective_whose_space_cannot_be_found_is_refused(tmp_path: Path, head: str, body: str, says: str) -> None:
    path = script(tmp_path, body, head)
    with pytest.raises(CatalogProblem) as raised:
        described(path)
    assert says.replace("{path}", str(path)) in str(raised.value)


def test_the_same_script_still_runs_with_stock_optuna(tmp_path: Path) -> None:
    body = "trial.report(lr, 0)\nif trial.should_prune():\n    raise optuna.TrialPruned()\nreturn lr"
    names: dict[str, Any] = {}
    exec(script(tmp_path, body).read_text(), names)
    study = optuna.create_study()
    study.optimize(names["objective"], n_trials=2)
    assert len(study.trials) == 2

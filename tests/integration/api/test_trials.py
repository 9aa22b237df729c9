import json
import math
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
from starlette.testclient import TestClient

from service.dispatch.outcome import Completed, Failed, Infeasible, Pruned
from service.domain.job import Job
from service.domain.measurement import GroupRate
from service.domain.trial import TrialError
from service.store import trials
from service.store.postgres import Database, stock_url
from tests.factories import submit_job
from tests.integration.api.training import Worker


@pytest.fixture
def job(database: Database) -> Job:
    return submit_job(database, budget={"trials": 20})


@pytest.fixture
def study(database: Database, job: Job) -> Iterator[optuna.Study]:
    """The job's study as a user's own script sees it."""
    storage = optuna.storages.RDBStorage(stock_url(database.url.render_as_string(hide_password=False)))
    yield optuna.load_study(study_name=job.study_name, storage=storage)
    storage.engine.dispose()


def get(client: TestClient, job: Job, path: str) -> Any:
    answer = client.get(f"/v1/jobs/{job.id}{path}")
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_trial_of_each_state_is_shown_as_it_is(client: TestClient, worker: Worker, job: Job) -> None:
    results = [
        Completed(value=0.25, user_attrs={"test_loss": 0.3}),
        Infeasible(step=2, fraction=0.5, evidence="loss became inf at update 2"),
        Pruned(value=0.5, step=1),
        Failed(error=TrialError(type="ValueError", message="no", traceback="line 1")),
    ]
    claims = [worker.train(1, lambda _, result=result: result)[0] for result in results]  # type: ignore[misc]
    claims.append(worker.claim())
    shown = get(client, job, "/trials")["items"]
    assert [trial["state"] for trial in shown] == ["complete", "infeasible", "pruned", "failed", "running"]
    assert [trial["number"] for trial in shown] == [0, 1, 2, 3, 4]
    assert [trial["value"] for trial in shown] == [0.25, None, 0.5, None, None]
    assert [trial["params"] for trial in shown] == [claim.params for claim in claims]
    assert [trial["diverged_at_step"] for trial in shown] == [None, 2, None, None, None]
    seeds = [{"training_seed": claim.training_seed} for claim in claims]
    assert shown[0]["user_attrs"] == seeds[0] | {"test_loss": 0.3}
    assert shown[1]["user_attrs"] == seeds[1] | {"divergence": "loss became inf at update 2"}
    assert [trial["error"] for trial in shown] == [None] * 3 + [
        {"type": "ValueError", "message": "no", "traceback": "line 1"},
        None,
    ]
    assert shown[4]["finished_at"] is None
    [attempt] = shown[0]["attempts"]
    assert (attempt["attempt"], attempt["worker"], attempt["outcome"], attempt["reason"]) == (1, "test:1", "finished", None)
    assert shown[0]["started_at"] <= attempt["started_at"] <= attempt["ended_at"]
    assert "token" not in json.dumps(shown)
    for trial in shown:
        assert get(client, job, f"/trials/{trial['number']}") == trial


def test_a_trial_shows_how_far_it_was_measured(client: TestClient, worker: Worker, job: Job) -> None:
    claims = [worker.claim(), worker.claim()]
    for step in (1, 2, 3):
        worker.report(claims[0], 0.5, step)
    assert [trial["last_step"] for trial in get(client, job, "/trials")["items"]] == [3, None]
    assert get(client, job, "/trials/0")["last_step"] == 3


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
def test_trials_are_paged_by_number(client: TestClient, worker: Worker, job: Job, limit: int) -> None:
    worker.train(5)
    numbers, cursor = [], ""
    while cursor is not None:
        page = get(client, job, f"/trials?limit={limit}&cursor={cursor}" if cursor else f"/trials?limit={limit}")
        numbers += [trial["number"] for trial in page["items"]]
        cursor = page["next_cursor"]
    assert numbers == [0, 1, 2, 3, 4]


def test_a_number_that_no_trial_has_is_a_404(client: TestClient, job: Job) -> None:
    for path in ("", "/measurements", "/log"):
        answer = client.get(f"/v1/jobs/{job.id}/trials/{2**31 - 1}{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:stride:trial-not-found")
        assert answer.json()["detail"] == f"Job {job.id} has no trial 2147483647."


def test_what_is_no_number_of_a_trial_is_a_422(client: TestClient, job: Job) -> None:
    for number in ("-1", str(2**31), "9" * 5000, "x", "1.5", "%00"):
        answer = client.get(f"/v1/jobs/{job.id}/trials/{number}")
        assert answer.status_code == 422, number
        assert answer.json()["errors"][0]["pointer"] == "/number"


def test_measurements_are_paged_by_step_and_what_is_not_finite_is_null(client: TestClient, worker: Worker, job: Job) -> None:
    claim = worker.claim()
    losses = [0.5, math.nan, math.inf, -math.inf, 1e308]
    for step, loss in enumerate(losses, start=1):
        worker.report(claim, loss, step)
    steps = []
    cursor = ""
    while cursor is not None:
        page = get(client, job, f"/trials/0/measurements?limit=2{cursor and '&cursor=' + cursor}")
        steps += page["items"]
        cursor = page["next_cursor"]
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5]
    assert [step["metrics"]["loss"] for step in steps] == [0.5, None, None, None, 1e308]
    assert steps[0] == {
        "step": 1,
        "fraction": 0.25,
        "in_warmup": False,
        "metrics": {"loss": 0.5},
        "learning_rate": 0.1,
        "seconds": 0.01,
        "group_rates": [],
        "update_losses": [],
        "best_step": None,
    }


def test_a_measurement_shows_what_it_carries_beyond_its_metrics(client: TestClient, worker: Worker, job: Job) -> None:
    claim = worker.claim()
    body = GroupRate(group="body", learning_rate=0.1, momentum=0.9)
    head = GroupRate(group="head", learning_rate=math.inf, momentum=None)
    worker.report(claim, 0.5)
    worker.report(claim, 0.6, 2, group_rates=(body, head), update_losses=((1, 0.5), (9, math.nan)), best_step=1)
    first, second = get(client, job, "/trials/0/measurements")["items"]
    assert (first["group_rates"], first["update_losses"], first["best_step"]) == ([], [], None)
    assert second["group_rates"] == [
        {"group": "body", "learning_rate": 0.1, "momentum": 0.9},
        {"group": "head", "learning_rate": None, "momentum": None},
    ]
    assert second["update_losses"] == [[1, 0.5], [9, None]]
    assert second["best_step"] == 1


def test_the_log_is_what_the_training_printed_last(client: TestClient, worker: Worker, job: Job) -> None:
    claim = worker.claim()
    assert get(client, job, "/trials/0/log") == {"log": ""}
    worker.report(claim, 0.5, log="epoch 1\nnul \0 and emoji \U0001f600\n")
    assert get(client, job, "/trials/0/log") == {"log": "epoch 1\nnul � and emoji \U0001f600\n"}


def test_a_foreign_scripts_odd_trials_are_shown_and_never_a_server_error(
    client: TestClient, study: optuna.Study, job: Job
) -> None:
    odd = study.ask()
    odd.suggest_float("learning_rate", 1e-5, 1.0, log=True)
    odd.suggest_categorical("note", [None, float("nan"), "text", True])
    for key, value in (
        ("nan", math.nan),
        ("nested", {"inf": [math.inf, {"x": -math.inf}]}),
        ("nul", "a\0b"),
        ("error", {"type": 5, "message": None}),
        ("diverged_at_step", "soon"),
    ):
        odd.set_user_attr(key, value)
    study.tell(odd, math.inf)
    study.add_trial(optuna.trial.create_trial(value=0.3, params={}, distributions={}))
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.FAIL, user_attrs={"error": {"type": "E", "message": "no", "traceback": 7}}
        )
    )
    study.enqueue_trial({"learning_rate": 0.01})
    shown = get(client, job, "/trials")["items"]
    assert [trial["state"] for trial in shown] == ["complete", "complete", "failed", "waiting"]
    assert shown[0]["value"] is None
    assert shown[0]["user_attrs"]["nan"] is None
    assert shown[0]["user_attrs"]["nested"] == {"inf": [None, {"x": None}]}
    assert shown[0]["attempts"] == []
    assert get(client, job, "")["best"]["value"] == 0.3
    assert get(client, job, "/trials/0/measurements") == {"items": [], "next_cursor": None}
    assert get(client, job, "/trials/0/log") == {"log": ""}


def test_a_foreign_trials_odd_constraints_are_never_a_server_error(
    client: TestClient, database: Database, study: optuna.Study, job: Job
) -> None:
    study.add_trial(optuna.trial.create_trial(value=0.3, params={}, distributions={}))
    with database.transaction() as conn:
        trial_id = conn.exec_driver_sql("SELECT trial_id FROM optuna.trials").scalar_one()
    violated: list[Any] = [[math.inf], [-1.0, 2.0], [1]]
    kept: list[Any] = [[], [-1.0, 0.0], [math.nan], [-math.inf], ["x"], [None], "x", None, {"a": 1}, 5]
    for constraints in violated + kept:
        with database.transaction() as conn:
            trials.set_system_attrs(conn, trial_id, {"constraints": constraints})
        [trial] = get(client, job, "/trials")["items"]
        progress = get(client, job, "")["progress"]["trials"]
        assert trial["state"] == ("infeasible" if constraints in violated else "complete"), constraints
        assert progress[trial["state"]] == progress["total"] == 1, constraints

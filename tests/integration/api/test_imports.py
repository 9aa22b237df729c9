"""Trials that were trained elsewhere: a finished job that is answered, shown, compared and extended as any other."""

import copy
import math
from typing import Any

import optuna
import pytest
from starlette.testclient import TestClient

from service.dispatch.outcome import Completed
from service.store.postgres import Database
from tests.integration.api.asking import ask
from tests.integration.api.training import Worker
from tests.stock_optuna import stock

RATES = [10 ** (-4 + index / 4) for index in range(16)]
PAGE = {"Accept": "text/html"}


def loss(rate: float) -> float:
    return 0.2 + 0.2 * (math.log10(rate) + 2) ** 2


def trial(rate: float, *, steps: int = 3, seed: int | None = None, above: float = 0.0, **of: Any) -> dict[str, Any]:
    """A run that falls to the parabola's loss, and diverges from 0.5 on."""
    last: Any = loss(rate) + above if rate < 0.5 else "NaN"
    losses = [1.0 + above + 1 / step for step in range(1, steps)] + [last]
    measured = [{"step": step, "metrics": {"val_loss": value}} for step, value in enumerate(losses, start=1)]
    return {"params": {"lr": rate}, "measurements": measured} | ({} if seed is None else {"seed": seed}) | of


def document(**of: Any) -> dict[str, Any]:
    space = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}
    objective = {
        "name": "external",
        "parameters": [{"name": "lr", "type": "float", "space": space, "role": "learning_rate"}],
        "metrics": [{"name": "val_loss", "direction": "minimize"}],
        "steps": 3,
        "settings": of.pop("settings", {"data": "digits"}),
    }
    return {"source": "runs.csv", "job": {"objective": objective}, "trials": [trial(rate) for rate in RATES]} | of


def imported(client: TestClient, body: dict[str, Any], status: int = 201, key: str | None = None) -> Any:
    answer = client.post("/v1/imports", json=body, headers={} if key is None else {"Idempotency-Key": key})
    assert answer.status_code == status, answer.text
    if status == 201:
        assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()


def test_an_import_is_a_finished_job_with_an_answer_from_its_trials(client: TestClient, database: Database) -> None:
    job = imported(client, document())
    assert (job["state"], job["source"], job["reason"]) == ("completed", "runs.csv", "all of its trials were imported")
    counts = {state: n for state, n in job["progress"]["trials"].items() if n}
    assert counts == {"planned": 16, "total": 16, "complete": 15, "infeasible": 1}
    answer = ask(client, f"/v1/jobs/{job['id']}/best-lr")
    assert 0.005 < answer["learning_rate"] < 0.02
    assert answer["interval"]["low"] < 0.01 < answer["interval"]["high"]
    assert 0.3 < answer["divergence_edge"]["at"] < 1.0
    assert answer["evidence"] == {"trials": 16, "infeasible": 1, "pruned": 0, "hopeless": 0, "seeds": None}
    events = ask(client, f"/v1/jobs/{job['id']}/events")["items"]
    assert [event["type"] for event in events] == ["job.imported", "job.completed"]
    with stock(database.url) as storage:
        study = optuna.load_study(study_name=job["study_name"], storage=storage)
        assert study.best_params == {"lr": pytest.approx(0.01)}
        assert study.trials[3].intermediate_values == {1: 2.0, 2: 1.5, 3: loss(RATES[3])}
        assert [study.trials[at].system_attrs["constraints"] for at in (0, 15)] == [[-1.0], [1e-6]]


def test_what_was_not_measured_is_null_and_what_was_is_as_a_worker_stores_it(client: TestClient) -> None:
    first = trial(0.1, seed=7, attributes={"host": "a", "error": "its own"})
    first["measurements"][0] |= {"learning_rate": 0.05, "seconds": 1.5, "fraction": 0.2, "in_warmup": True}
    job = imported(client, document(trials=[first, trial(0.2)]))
    one, other = ask(client, f"/v1/jobs/{job['id']}/trials")["items"]
    assert (one["user_attrs"]["host"], one["user_attrs"]["training_seed"], one["error"]) == ("a", 7, None)
    assert "training_seed" not in other["user_attrs"]
    measured = ask(client, f"/v1/jobs/{job['id']}/trials/0/measurements")["items"]
    assert [(each["fraction"], each["learning_rate"], each["seconds"], each["in_warmup"]) for each in measured] == [
        (0.2, 0.05, 1.5, True),
        (pytest.approx(2 / 3), None, None, False),
        (1.0, None, None, False),
    ]


def test_each_outcome_is_judged_as_a_workers_is(client: TestClient) -> None:
    trials = [
        trial(0.01),
        trial(0.02, outcome="diverged", reason="the log says so"),
        trial(0.03, steps=2, outcome="pruned"),
        trial(0.04, outcome="failed", reason="out of memory"),
        trial(0.05, value="Infinity"),
        {"params": {"lr": 0.06}, "measurements": [], "outcome": "diverged"},
        {"params": {"lr": 0.07}, "outcome": "failed"},
        trial(0.08, value=0.125),
        trial(0.09, above=1e12),
        trial(0.1),
    ]
    trials[8]["measurements"][0]["metrics"]["val_loss"] = 1.0  # from 1 to 1e12: a run that blew up
    trials[9]["measurements"][1]["metrics"]["training_loss"] = "NaN"
    job = imported(client, document(trials=trials))
    found = ask(client, f"/v1/jobs/{job['id']}/trials")["items"]
    assert [each["state"] for each in found] == [
        *(
            "complete",
            "infeasible",
            "pruned",
            "failed",
            "infeasible",
            "infeasible",
            "failed",
            "complete",
            "infeasible",
            "infeasible",
        )
    ]
    assert found[1]["user_attrs"]["divergence"] == "the log says so"
    assert [each["diverged_at_step"] for each in found] == [None, 3, None, None, 3, 0, None, None, 2, 2]
    assert found[2]["user_attrs"]["pruned_at_step"] == 2
    assert found[3]["error"] == {"type": "RunFailed", "message": "out of memory", "traceback": None}
    assert found[7]["value"] == 0.125


def test_it_is_idempotent_by_key(client: TestClient) -> None:
    first = imported(client, document(), key="k")
    assert imported(client, document(), key="k")["id"] == first["id"]
    assert imported(client, document())["id"] != first["id"]
    refused = imported(client, document(source="other.csv"), 422, key="k")
    assert refused["type"] == "urn:stride:idempotency-key-reused"
    assert len(ask(client, "/v1/jobs")["items"]) == 2


def test_its_page_its_trials_and_its_advice_say_where_it_is_from(client: TestClient) -> None:
    job = imported(client, document(source="<b>runs.csv"))
    page = client.get(f"/jobs/{job['id']}", headers=PAGE).text
    assert "imported from &lt;b&gt;runs.csv" in page
    assert "Their training seeds are not known" in page
    assert "bayesian search" not in page
    assert client.get(f"/jobs/{job['id']}/trials/15", headers=PAGE).status_code == 200
    assert "imported" in client.get("/", headers=PAGE).text
    assert client.get(f"/v1/jobs/{job['id']}/report").status_code == 200
    assert client.get(f"/v1/jobs/{job['id']}/advice").status_code == 200
    front = ask(client, f"/v1/jobs/{job['id']}/trade-off")["front"]
    assert [each["seconds"] for each in front] == [None] * len(front), "seconds are not known"
    assert front


def test_imports_are_compared_with_each_other(client: TestClient) -> None:
    jobs = [
        imported(client, document(source=name, trials=[trial(rate, above=above) for rate in RATES]))
        for name, above in (("sgd.csv", 0.0), ("adam.csv", 0.5))
    ]
    compared = ask(client, "/v1/compare", jobs=",".join(job["id"] for job in jobs))
    assert [each["verdict"] for each in compared["jobs"]] == ["best", "worse"]
    assert [each["seeds"] for each in compared["jobs"]] == [None, None]
    assert "Training seeds are not known for" in compared["because"]


@pytest.mark.parametrize("stated", [42, None])
def test_all_of_one_seed_hold_for_it_alone(client: TestClient, stated: int | None) -> None:
    body = document(trials=[trial(rate, seed=stated) for rate in RATES])
    body["job"] |= {"seed": 42, "training_seed": "shared"}
    answer = ask(client, f"/v1/jobs/{imported(client, body)['id']}/best-lr")
    assert (answer["training_seed"], answer["evidence"]["seeds"]) == (42, 1)


def test_workers_go_on_with_a_job_of_an_objective_that_they_have(client: TestClient, worker: Worker) -> None:
    trials = [
        {
            "params": {"learning_rate": rate, "momentum": 0},
            "seed": index,
            "measurements": [{"step": step, "metrics": {"loss": loss(rate) + 1 / step}} for step in (1, 2)],
        }
        for index, rate in enumerate(RATES[:12])
    ]
    space = {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.2, "log": True}, "momentum": 0, "epochs": 4}
    body = {"source": "old.csv", "job": {"objective": {"name": "quadratic"}, "search_space": space}, "trials": trials}
    job = imported(client, body)
    measured = ask(client, f"/v1/jobs/{job['id']}/trials/0/measurements")["items"]
    assert [each["fraction"] for each in measured] == [0.25, 0.5], "of the epochs that the job trains"
    extended = client.post(f"/v1/jobs/{job['id']}/extend", json={"trials": 4}).json()
    assert (extended["state"], extended["budget"]["trials"]) == ("queued", 16)
    claims = []
    for _ in range(4):
        claims.append(worker.claim())
        worker.report(claims[-1], 0.3, 4)
        worker.finish(claims[-1], Completed(value=0.3))
    assert [claim.lease.number for claim in claims] == [12, 13, 14, 15]
    found = ask(client, f"/v1/jobs/{job['id']}")
    assert (found["state"], found["phase"], found["source"]) == ("completed", "confirm", "old.csv")
    assert ask(client, f"/v1/jobs/{job['id']}/best-lr")["evidence"]["trials"] == 16


def test_an_import_of_one_seed_is_extended_as_any_job(client: TestClient, worker: Worker) -> None:
    trials = [
        {"params": {"learning_rate": rate}, "seed": 42, "measurements": [{"step": 4, "metrics": {"loss": loss(rate)}}]}
        for rate in RATES[:12]
    ]
    space = {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.2, "log": True}, "epochs": 4}
    named = {"objective": {"name": "quadratic"}, "search_space": space, "seed": 42, "training_seed": "shared"}
    job = imported(client, {"source": "old.csv", "job": named, "trials": trials})
    client.post(f"/v1/jobs/{job['id']}/extend", json={"trials": 2})
    for number in (12, 13):
        claim = worker.claim()
        assert claim.lease.number == number
        worker.report(claim, 0.3, 4)
        worker.finish(claim, Completed(value=0.3))
    found = ask(client, f"/v1/jobs/{job['id']}")
    assert (found["state"], found["phase"], found["progress"]["trials"]["complete"]) == ("completed", "search", 14)


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    body = copy.deepcopy(document(trials=[trial(0.1), trial(0.2)]))
    place: Any = body
    for part in path[:-1]:
        place = place[part]
    if to is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return body


FIRST = ("trials", 0, "measurements", 0)


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        (changed("trials", to=[]), "/trials", "at least 1 entries"),
        (changed("source", to=KeyError), "/source", "is missing"),
        (changed("extra", to=1), "/extra", "is not a field here; the fields are: source, job, trials"),
        (changed("trials", 0, "extra", to=1), "/trials/0/extra", "the fields are: params, measurements, value"),
        (changed(*FIRST, "extra", to=1), "/trials/0/measurements/0/extra", "the fields are: step, metrics"),
        (changed("job", "extra", to=1), "/job/extra", "the fields are: name, objective"),
        (changed("job", "budget", to={"trials": 4}), "/job/budget", "the budget of an import is its trials"),
        (changed("job", "strategy", to="grid"), "/job/strategy", "choose random or bayesian"),
        (changed("job", "replicates", to=2), "/job/replicates", "have their own seeds"),
        (changed("job", "try_first", to=[{"lr": 0.1}]), "/job/try_first", "leave it out"),
        (changed("job", "metric", to="loss"), "/job/metric", "has no metric 'loss'"),
        (changed("job", "objective", to={"name": "nope"}), "/job/objective/name", "there is no objective 'nope'"),
        (changed("job", "objective", "steps", to="epochs"), "/job/objective/steps", "is not the name of a parameter"),
        (changed("trials", 1, "params", "lr", to=2.0), "/trials/1/params/lr", "2.0 is not in the range of the job"),
        (changed("trials", 1, "params", "mu", to=2), "/trials/1/params/mu", "is not a parameter of the job, which has: lr"),
        (changed("trials", 1, "params", to={}), "/trials/1/params", "must hold lr, which the job searches"),
        (changed(*FIRST, "step", to=2), "/trials/0/measurements/1/step", "comes after step 2: steps must ascend"),
        (changed(*FIRST, "step", to=0), "/trials/0/measurements/0/step", "greater than or equal to 1"),
        (changed(*FIRST, "metrics", to={"training_loss": 1}), "/trials/0/measurements/0/metrics", "must hold val_loss"),
        (changed(*FIRST, "metrics", "acc", to=1), "/trials/0/measurements/0/metrics/acc", "is not declared"),
        (changed(*FIRST, "metrics", "val_loss", to="a"), "/trials/0/measurements/0/metrics/val_loss", "should be a number"),
        (changed("trials", 0, "measurements", to=[]), "/trials/0/measurements", "a completed trial has at least one"),
        (changed("trials", 0, "seed", to=-1), "/trials/0/seed", "greater than or equal to 0"),
        (
            changed("job", "training_seed", to="shared") | {"trials": [trial(0.1, seed=1), trial(0.2)]},
            "/trials/0/seed",
            "must be 0, the job's seed",
        ),
        (changed("trials", 0, "outcome", to="lost"), "/trials/0/outcome", "'completed', 'diverged', 'pruned' or 'failed'"),
    ],
)
def test_what_cannot_be_imported_is_refused_and_nothing_is_stored(
    client: TestClient, body: dict[str, Any], pointer: str, said: str
) -> None:
    faults = imported(client, body, 422)["errors"]
    assert [fault["pointer"] for fault in faults] == [pointer]
    assert said in faults[0]["detail"]
    assert ask(client, "/v1/jobs")["items"] == []


def test_an_import_may_be_larger_than_other_bodies_but_not_of_any_size(client: TestClient) -> None:
    large = document(trials=[trial(rate, steps=100) for rate in RATES])
    assert len(client.build_request("POST", "/v1/imports", json=large).content) > 60_000
    imported(client, large)
    refused = client.post("/v1/imports", content=b"0" * 300_001, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:stride:body-too-large")
    assert "300,000 bytes at most" in refused.json()["detail"]

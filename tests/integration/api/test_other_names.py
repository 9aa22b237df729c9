"""A whole job of an objective that calls everything otherwise: trained by a worker, asked about, scaled and compared."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.commands.tables import console, job_details, jobs_table, plan_table
from service.commands.watch import describe
from service.settings import Settings
from service.store.postgres import Database
from tests.integration.api.asking import ask
from tests.integration.worker.supervised import supervised
from tests.other_names import BEST_RATE, DIVERGES_BEYOND, POWER, decades_off

N_TRIALS = 48
DOCUMENT: dict[str, Any] = {
    "objective": {"name": "other-names", "settings": {"cores": 2}},
    "search_space": {
        "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "bs": {"type": "categorical", "choices": [16, 32, 64, 128]},
        "steps": 3,
    },
    "strategy": {"type": "random", "sampler": "qmc"},
    "budget": {"trials": N_TRIALS, "confirm": 0},  # its objective has no noise
}


@pytest.fixture
def client(database: Database) -> Iterator[TestClient]:
    with TestClient(
        create_app(Settings.model_validate({"objective_modules": "tests.other_names"}), database), "http://127.0.0.1"
    ) as client:
        yield client


def submitted(client: TestClient, **settings: Any) -> str:
    document = DOCUMENT | {"objective": {"name": "other-names", "settings": {"cores": 2} | settings}}
    answer = client.post("/v1/jobs", json=document)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def train(database: Database, n_jobs: int = 1) -> None:
    with supervised(database, modules=["tests.other_names"]) as worker:
        for _ in range(n_jobs * N_TRIALS):
            worker.run_trial()


def printed(capsys: pytest.CaptureFixture[str], table: Any) -> str:
    console().print(table)
    return capsys.readouterr().out


def test_what_is_declared_is_listed(client: TestClient) -> None:
    items = {each["name"]: each for each in ask(client, "/v1/objectives")["items"]}
    other = items["other-names"]
    assert other["step_word"] == "episode"
    roles = {each["name"]: each["role"] for each in other["parameters"]}
    assert roles == {
        **{"lr": "learning_rate", "bs": "batch_size", "mu": "momentum", "steps": "duration", "rule": "optimizer"},
        **{"penalty": None, "draw": "seed"},
    }
    assert {each["name"]: each["scale"] for each in other["parameters"] if each["scale"] != "linear"} == {
        "lr": "log",
        "bs": "log",
        "mu": "decay",
    }
    [penalty] = [each for each in other["parameters"] if each["name"] == "penalty"]
    assert penalty["defines_measure"] == ["regret"]


def test_a_dry_run_counts_steps_by_the_objectives_word(client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    document = DOCUMENT | {"search_space": DOCUMENT["search_space"] | {"steps": {"type": "int", "low": 2, "high": 6}}}
    plan = client.post("/v1/jobs?dry_run=true", json=document).json()
    assert plan["epochs"] == {"expected": 4.0 * N_TRIALS, "at_most": 6 * N_TRIALS}
    assert (plan["step_word"], plan["roles"]["learning_rate"]) == ("episode", "lr")
    assert f"episodes      about {4 * N_TRIALS}, at most {6 * N_TRIALS}" in printed(capsys, plan_table(plan))


def test_a_linear_range_of_rates_is_warned_of(client: TestClient) -> None:
    document = DOCUMENT | {"search_space": {"lr": {"type": "float", "low": 1e-4, "high": 1.0}}}
    [warning] = client.post("/v1/jobs?dry_run=true", json=document).json()["warnings"]
    assert warning["pointer"] == "/search_space/lr"


def test_a_whole_job_its_answer_and_batch_scaling(
    client: TestClient, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submitted(client)
    train(database)
    trials = ask(client, f"/v1/jobs/{job}/trials", limit=100)["items"]
    assert {each["state"] for each in trials} == {"complete", "infeasible"}
    for each in trials:
        too_high = decades_off({"mu": 0.0} | each["params"]) > DIVERGES_BEYOND
        assert each["state"] == ("infeasible" if too_high else "complete")
    [*_, last] = ask(client, f"/v1/jobs/{job}/trials/{trials[0]['number']}/measurements")["items"]
    assert last["metrics"]["threads"] == 2.0

    found = ask(client, f"/v1/jobs/{job}/best-lr")
    assert set(found["params"]) == {"bs"}
    best = BEST_RATE * (found["params"]["bs"] / 32) ** POWER
    assert found["interval_at_params"]["low"] <= best <= found["interval_at_params"]["high"]
    assert found["learning_rate"] == pytest.approx(best, rel=0.5)
    assert found["expected"]["mean"] == pytest.approx(0.9, abs=0.05)
    assert found["best_trial"]["value"] == max(each["value"] for each in trials if each["value"] is not None)
    assert [row["batch_size"] for row in found["by_batch_size"]] == [16, 32, 64, 128]
    assert found["divergence_edge"]["at"] == pytest.approx(best * 10**DIVERGES_BEYOND, rel=0.8)
    assert {name for edge in found["divergence_edges"] for name in edge["group"]} == {"bs"}

    scaling = ask(client, f"/v1/jobs/{job}/batch-scaling", batch_size=512)
    assert scaling["interval"]["low"] <= POWER <= scaling["interval"]["high"]
    prediction = scaling["prediction"]
    assert prediction["interval"]["low"] <= BEST_RATE * 16**POWER <= prediction["interval"]["high"]
    assert "over the first tenth of the training" in prediction["advice"]

    shown = ask(client, f"/v1/jobs/{job}")
    rate = f"{shown['best']['params']['lr']:.4g}"
    assert describe(shown, None).endswith(f"at learning rate {rate}")
    assert f"lr={rate}" in printed(capsys, job_details(shown))
    assert rate in printed(capsys, jobs_table([shown]))
    assert all(each["learning_rate"] == each["params"]["lr"] for each in ask(client, f"/v1/jobs/{job}/trade-off")["front"])
    [item] = ask(client, "/v1/best-lr", objective="other-names")["items"]
    assert item["answer"] == found
    assert item["measure"] == {"objective": "other-names", "arena": "small"}
    assert item["recipe"]["bs"] == "searched"
    assert not {"arena", "lr"} & item["recipe"].keys()


def test_recipes_are_compared_each_at_its_own_best_rate(client: TestClient, database: Database) -> None:
    jobs = [submitted(client), submitted(client, less=0.2)]
    train(database, len(jobs))
    found = ask(client, "/v1/compare", jobs=jobs, learning_rate=0.02)
    assert (found["metric"], found["direction"], found["best"]) == ("reward", "maximize", jobs[0])
    assert [each["recipe"] for each in found["jobs"]] == [{"less": 0.0}, {"less": 0.2}]
    assert [each["verdict"] for each in found["jobs"]] == ["best", "worse"]
    assert found["jobs"][1]["difference"]["estimate"]["mean"] == pytest.approx(-0.2, abs=0.1)
    assert found["at_shared_rate"]["winner"] == jobs[0]
    elsewhere = submitted(client, arena="large")
    [fault] = ask(client, "/v1/compare", 422, jobs=[jobs[0], elsewhere])["errors"]
    assert "arena 'large' where the first job has 'small'" in fault["detail"]


def test_a_job_is_answered_when_its_objective_is_gone(client: TestClient, database: Database) -> None:
    job = submitted(client)
    train(database)
    with TestClient(create_app(Settings(), database), "http://127.0.0.1") as without:
        assert ask(without, f"/v1/jobs/{job}/best-lr") == ask(client, f"/v1/jobs/{job}/best-lr")
        assert ask(without, f"/v1/jobs/{job}/batch-scaling") == ask(client, f"/v1/jobs/{job}/batch-scaling")
        assert ask(without, f"/v1/jobs/{job}")["roles"]["learning_rate"] == "lr"

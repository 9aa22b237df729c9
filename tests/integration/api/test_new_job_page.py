"""The form for a new job: every field of a request is in it, made from what is declared, and it is filled from a job."""

import html
import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from objectives.contract import Metric, Objective, Parameter
from service.domain.request import Budget, JobRequest, Limits
from service.errors import pointer
from service.store.postgres import Database
from tests.factories import submit_job
from tests.integration.api.test_pages import MARKUP, page
from tests.integration.api.training import Worker
from tests.integration.dispatch.test_announce import offering, version


def pointers(found: str) -> set[str]:
    return set(map(html.unescape, re.findall(r'data-pointer="([^"]*)"', found)))


def job_in(found: str) -> Any:
    """The JSON that the form begins with."""
    [text] = re.findall(r'<textarea id="json"[^>]*>(.*?)</textarea>', found, flags=re.DOTALL)
    return json.loads(html.unescape(text))


def test_the_form_has_every_field_of_a_request(client: TestClient) -> None:
    found = pointers(page(client, "/new"))
    # A search space has fields for each parameter, and so have settings; the others have one each.
    fields = JobRequest.model_fields.keys() - {"objective", "search_space", "budget", "limits"}
    expected = {f"/{name}" for name in fields} | {"/objective/name"}
    expected |= {f"/budget/{name}" for name in Budget.model_fields} | {f"/limits/{name}" for name in Limits.model_fields}
    assert expected <= found
    assert {"/strategy/sampler", "/pruner/percentile", "/pruner/reduction_factor"} <= found


def test_parameters_and_settings_are_those_of_the_objective(client: TestClient) -> None:
    found = page(client, "/new?objective=quadratic")
    assert job_in(found) == {"objective": {"name": "quadratic"}}
    names = {each.removeprefix("/search_space/") for each in pointers(found) if re.fullmatch("/search_space/[^/]+", each)}
    assert names == {"learning_rate", "epochs", "momentum", "mode"}
    assert "/objective/settings/raise_at" in pointers(found)
    assert "Raise in this step." in found
    assert '<option value="&#34;without position&#34;">without position</option>' in found
    assert '<option value="&#34;loss&#34;" data-default selected>loss, minimized (default)</option>' in found
    assert "/objective/settings/dataset" in pointers(page(client, "/new?objective=image-classification"))


def test_the_form_begins_with_an_objective_that_a_worker_offers(client: TestClient, worker: Worker) -> None:
    found = page(client, "/new")
    assert job_in(found) == {"objective": {"name": "quadratic"}}
    assert "image-classification (no worker offers it now)" in found
    assert "quadratic (no worker" not in found


@pytest.mark.parametrize(
    "request_",
    [
        {"objective": {"name": "quadratic"}},
        {
            "objective": {"name": "quadratic", "settings": {"seed_noise": 0.5, "epoch_s": 0.0}},
            "name": "<b>",
            "search_space": {
                "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
                "momentum": 0.9,
                "epochs": {"type": "categorical", "choices": [2, 4]},
            },
            "strategy": {"type": "random", "sampler": "qmc"},
            "pruner": "median",
            "budget": {"trials": 20, "target": 0.2},
            "labels": {"team": "<i>"},
            "seed": 2**60 + 1,
            "metric": "score",
            "limits": {"trial_seconds": 9.0},
            "try_first": [{"learning_rate": 0.01}],
        },
        {
            "objective": {"name": "quadratic"},
            "search_space": {"learning_rate": {"type": "float", "low": 0.1, "high": 0.2, "points": 3}},
            "strategy": "grid",
        },
        {"objective": {"name": "quadratic"}, "budget": {"seconds": 60.0}},
        {"objective": {"name": "quadratic"}, "budget": {"trials": 64, "confirm": 9}},
    ],
    ids=["nothing given", "much given", "grid", "seconds", "confirm"],
)
def test_a_job_fills_the_form_with_the_shortest_request_that_makes_it_again(client: TestClient, request_: dict[str, Any]) -> None:
    made = client.post("/v1/jobs", json=request_).json()
    found = page(client, f"/new?from={made['id']}")
    again = job_in(found)
    assert client.post("/v1/jobs", json=again).json()["spec"] == made["spec"]
    assert again.get("budget") == request_.get("budget")
    assert again.get("search_space", {}).keys() == request_.get("search_space", {}).keys() - {"momentum"}
    assert again["objective"].get("settings") in (None, {"seed_noise": 0.5})
    assert f'<a href="/jobs/{made["id"]}">' in found
    assert "<b>" not in found
    assert "<i>" not in found


def test_a_job_whose_objective_is_gone_still_fills_the_form(client: TestClient, database: Database) -> None:
    job = submit_job(database, objective={"name": MARKUP, "settings": {"<i>": "</textarea>"}}, name=MARKUP)
    found = page(client, f"/new?from={job.id}")
    assert job_in(found)["objective"] == {"name": MARKUP, "settings": {"<i>": "</textarea>"}}
    assert job_in(found)["search_space"]["momentum"] == 0.9
    assert "its settings and parameters are not known" in found
    assert "<img src=x" not in found


def test_an_announced_objective_has_a_form_in_which_markup_is_inert(client: TestClient, database: Database) -> None:
    parameter = Parameter(name=MARKUP, type="categorical", default=MARKUP, choices=(MARKUP, "<i>"), description=MARKUP)
    rate = Parameter(name="rate", type="float", role="learning_rate", default=0.1, description=MARKUP)
    settings = {"properties": {MARKUP: {"enum": [MARKUP], "default": MARKUP, "description": MARKUP}, "<b>": {"default": MARKUP}}}
    metric = Metric(name=MARKUP, direction="minimize", description=MARKUP)
    objective = Objective(
        name=MARKUP,
        description=MARKUP,
        module="mine",
        metrics=(metric,),
        parameters=(rate, parameter),
        settings_schema={"type": "object"} | settings,
    )
    offering(database, "host:1", version(objective))
    found = page(client, "/new")
    assert job_in(found) == {"objective": {"name": MARKUP}}
    place = pointer(MARKUP)
    assert {f"/search_space{place}", f"/objective/settings{place}", "/objective/settings/<b>"} <= pointers(found)
    assert not re.search("<(img|i|b)[ >]", found)
    assert "49" not in re.findall(r"<legend>.*</legend>", found)[0]


def test_the_form_is_reached_from_the_jobs_and_from_each(client: TestClient, database: Database) -> None:
    job = submit_job(database)
    assert 'href="/new"' in page(client, "/")
    assert f'href="/new?from={job.id}"' in page(client, f"/jobs/{job.id}")


def test_a_form_for_what_is_not_there_says_so(client: TestClient) -> None:
    assert "There is no such job" in page(client, "/new?from=ffffffff", 404)
    assert "The request is not valid" in page(client, "/new?from=me", 422)
    found = page(client, "/new?objective=nobody%3C%2Ftextarea%3E")
    assert job_in(found) == {"objective": {"name": "nobody</textarea>"}}


def test_all_that_the_form_loads_is_served(client: TestClient) -> None:
    names = re.findall(r'"/assets/([^"]+)"', page(client, "/new"))
    assert {"form.css", "form.js"} <= set(names)
    for name in names:  # grows by what scripts import
        response = client.get(f"/assets/{name}")
        assert response.status_code == 200, name
        names += set(re.findall(r'from "\./([^"]+)"', response.text)) - set(names)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["32 trials of bayesian search (tpe).", "Left out, and so assumed: the objective's default search space"]),
        ({"budget": {"trials": 1}}, ["1 trial of bayesian search (tpe).", "In all 4 epochs."]),
        ({"budget": {"seconds": 60}}, ["60 seconds of bayesian search (tpe).", "The last tenth of the time"]),
        ({"budget": {"trials": 5000, "seconds": 60}}, ["5,000 trials or 60 seconds, whichever comes first, of bayesian"]),
        ({"strategy": "grid"}, ["44 trials of grid search.", "assumed: the objective's default search space, all points"]),
        ({"metric": "score", "budget": {"target": 3}}, ["ended by a score of at least 3.", "which is maximized"]),
        ({"search_space": {"mode": {"type": "categorical", "choices": ["plain", "fancy"]}}}, ["mode plain or fancy."]),
    ],
)
def test_a_dry_run_says_in_sentences_what_the_job_would_do(client: TestClient, changes: dict[str, Any], said: list[str]) -> None:
    answer = client.post("/v1/jobs?dry_run=true", json={"objective": {"name": "quadratic"}} | changes)
    assert answer.status_code == 200, answer.text
    for each in said:
        assert each in " ".join(answer.json()["summary"])

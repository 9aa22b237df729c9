"""A job as it would be written to submit it again."""

from dataclasses import replace

import pytest

from objectives.catalog import load_catalog
from objectives.external import external_objective
from service.api.examples import JOBS
from service.api.resubmission import request_of
from service.api.submission import complete
from service.domain.request import JobRequest

CATALOG = load_catalog(["tests.quadratic"])
IMAGES = CATALOG["image-classification"]


@pytest.mark.parametrize("name", JOBS)
def test_an_example_is_no_longer_than_it_was_written(name: str) -> None:
    written = JOBS[name].get("value") or {}
    spec = complete(JobRequest.model_validate(written), CATALOG)
    request = request_of(spec, IMAGES)
    assert complete(JobRequest.model_validate(request), CATALOG) == spec
    assert request.keys() <= written.keys()
    assert request.get("search_space", {}).keys() <= written.get("search_space", {}).keys()
    assert request["objective"] == {"name": "image-classification"}


def test_what_has_another_default_by_now_stays_written() -> None:
    spec = complete(JobRequest.model_validate({"objective": {"name": "image-classification"}}), CATALOG)
    parameters = tuple(replace(each, default=0.5) if each.name == "dropout" else each for each in IMAGES.parameters)
    changed = replace(IMAGES, parameters=parameters)
    request = request_of(spec, changed)
    assert request["search_space"]["dropout"] == 0.0
    made = complete(JobRequest.model_validate(request), {changed.name: changed})
    assert made.search_space == spec.search_space


def test_an_objective_that_a_job_declares_stays_declared_where_it_has_no_settings() -> None:
    parameters = [{"name": "lr", "type": "float", "space": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}]
    declared = {"name": "external", "parameters": parameters, "metrics": [{"name": "loss", "direction": "minimize"}]}
    request = JobRequest.model_validate({"objective": declared})
    objective = external_objective(request.objective.model_dump(mode="json"))
    written = request_of(complete(request, {"external": objective}), objective)
    assert written["objective"].keys() == declared.keys()
    assert JobRequest.model_validate(written).objective == request.objective


def test_a_job_whose_objective_is_gone_stays_whole() -> None:
    spec = complete(JobRequest.model_validate({"objective": {"name": "quadratic"}}), CATALOG)
    request = request_of(spec, None)
    assert request["search_space"].keys() == {"learning_rate", "epochs", "momentum", "mode"}
    assert request["objective"]["settings"] == {"epoch_s": 0.0}
    assert request["budget"] == {"trials": 32, "confirm": 3}

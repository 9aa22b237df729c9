"""Jobs that declare their objective themselves: checked like an entry of the catalog, with pointers to what is wrong."""

from typing import Any
from unittest import mock

import pytest
from pydantic import ValidationError

from service.api import external
from service.api.external import objective_of
from service.api.resubmission import request_of
from service.api.submission import complete
from service.domain.meaning import Role
from service.domain.objective import ExternalObjective
from service.domain.request import JobRequest
from service.domain.space import FloatRange
from service.domain.spec import JobSpec
from service.errors import InvalidJob
from service.search.preview import steps_per_trial

LR = {"name": "lr", "type": "float", "space": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}
BATCH = {"name": "batch_size", "type": "int", "space": {"type": "categorical", "choices": [16, 32, 64]}}
EPOCHS = {"name": "epochs", "type": "int", "default": 5}
NET = {"name": "net", "type": "categorical", "default": "small", "choices": ["small", "large"]}
LOSS = {"name": "val_loss", "direction": "minimize"}
MODEL = {"model": "resnet18", "data": "cifar10"}


def declared(*parameters: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    return {"name": "external", "parameters": [LR, *parameters], "metrics": [LOSS], "settings": MODEL} | overrides


def completed(objective: dict[str, Any], **overrides: Any) -> JobSpec:
    request = JobRequest.model_validate({"objective": objective} | overrides)
    assert isinstance(request.objective, ExternalObjective)
    return complete(request, {"external": objective_of(request.objective)})


def faults(objective: dict[str, Any], **overrides: Any) -> dict[str, str]:
    with pytest.raises(InvalidJob) as caught:
        completed(objective, **overrides)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_what_is_left_out_follows_from_ranges_and_usual_names() -> None:
    spec = completed(declared(BATCH, EPOCHS, NET, steps="epochs", step_word="epoch"))
    assert spec.meaning.roles == {
        Role.LEARNING_RATE: "lr",
        Role.BATCH_SIZE: "batch_size",
        Role.DURATION: "epochs",
    }
    assert (spec.metric, spec.direction, spec.meaning.step_word) == ("val_loss", "minimize", "epoch")
    rate = spec.search_space["lr"]
    assert isinstance(rate, FloatRange)
    assert (rate.low, rate.high, rate.log, rate.points) == (1e-4, 1.0, True, 9)
    assert (spec.search_space["epochs"], spec.search_space["net"]) == (5, "small")
    assert steps_per_trial(spec) == (5.0, 5)
    assert steps_per_trial(completed(declared(steps=20))) == (20, 20)
    assert steps_per_trial(completed(declared())) is None


def test_roles_are_as_declared_where_any_is() -> None:
    eta = LR | {"name": "eta", "role": "learning_rate"}
    spec = completed(declared(BATCH, parameters=[eta, BATCH]))
    assert spec.meaning.roles == {Role.LEARNING_RATE: "eta"}
    assert spec.search_space.keys() == {"eta", "batch_size"}


def test_a_run_has_at_least_one_step() -> None:
    assert faults(declared(EPOCHS, steps="epochs"), search_space={"lr": LR["space"], "epochs": -3}) == {
        "/search_space/epochs": "-3 must be at least 1"
    }
    assert completed(declared(EPOCHS | {"low": -9}), search_space={"lr": LR["space"], "epochs": -3}).search_space["epochs"] == -3


def test_settings_define_what_is_measured() -> None:
    spec = completed(declared(NET | {"defines_measure": True}))
    assert set(spec.meaning.measure) == {"model", "data", "net"}
    assert completed(declared(NET, settings={})).meaning.measure == ()


def test_a_stored_job_is_read_back_and_made_again() -> None:
    spec = completed(declared(BATCH, EPOCHS, NET, steps="epochs"), strategy="grid", pruner="median")
    document = spec.model_dump(mode="json")
    again = JobRequest.model_validate(document)
    assert isinstance(again.objective, ExternalObjective)
    objective = objective_of(again.objective)
    made = complete(again, {"external": objective})
    assert made == spec
    shortest = request_of(spec, objective)
    assert shortest == {
        "objective": declared(BATCH, EPOCHS, NET, steps="epochs"),
        "strategy": "grid",
        "pruner": "median",
    }
    assert complete(JobRequest.model_validate(shortest), {"external": objective}) == spec


@pytest.mark.parametrize(
    ("objective", "pointer", "said"),
    [
        (declared({"name": "width", "type": "int"}), "/objective/parameters/1", "neither a default nor a space"),
        (declared(LR), "/objective/parameters/1/name", "'lr' before"),
        (declared(metrics=[LOSS, LOSS]), "/objective/metrics/1/name", "'val_loss' before"),
        (declared(steps="epochs"), "/objective/steps", "'epochs' is not the name of a parameter of type int; there are: none"),
        (declared(NET | {"choices": [1, 2]}), "/objective/parameters/1", "1 is a number"),
        (declared(NET | {"choices": None}), "/objective/parameters/1", "no choices"),
        (declared(NET | {"default": "huge"}), "/objective/parameters/1/default", "'huge' is not one of 'small', 'large'"),
        (declared(EPOCHS | {"low": 1, "default": 0}), "/objective/parameters/1/default", "0 must be at least 1"),
        (declared(EPOCHS | {"default": 0}, steps="epochs"), "/objective/parameters/1/default", "0 must be at least 1"),
        (declared(BATCH | {"low": 20}), "/objective/parameters/1/space", "16 must be at least 20"),
        (declared(BATCH | {"choices": ["a"]}), "/objective/parameters/1/choices", "only a categorical parameter has choices"),
        (declared(parameters=[EPOCHS]), "/objective", "has no learning rate"),
        (declared(parameters=[LR | {"space": None, "default": 0.0}]), "/objective/parameters/0/default", "must be above 0"),
        (declared(settings={"lr": 1}), "/objective/settings/lr", "is a parameter, too"),
        (
            declared(parameters=[LR | {"role": "learning_rate"}, EPOCHS | {"role": "learning_rate"}]),
            "/objective",
            "2 parameters of the role 'learning_rate'",
        ),
        (declared(NET | {"applies_when": [{"none": [1]}]}), "/objective/parameters/1", "no such parameter or setting"),
        (declared(NET | {"defines_measure": ["accuracy"]}), "/objective/parameters/1", "no such metric"),
    ],
)
def test_what_is_wrong_with_a_declaration_is_pointed_at(objective: dict[str, Any], pointer: str, said: str) -> None:
    found = faults(objective)
    assert said in found[pointer], found


def test_a_pruner_needs_to_know_how_many_steps_there_are() -> None:
    assert "in the job's objective if it is external" in faults(declared(), pruner="median")["/pruner"]
    assert completed(declared(steps=20), pruner="median").pruner.type == "median"


def test_a_sampler_that_needs_torch_is_refused_where_there_is_none() -> None:
    assert completed(declared(), strategy={"type": "bayesian", "sampler": "gp"}).strategy.type == "bayesian"
    with mock.patch.object(external, "find_spec", return_value=None):
        found = faults(declared(), strategy={"type": "bayesian", "sampler": "gp"})
        assert "PyTorch" in found["/strategy/sampler"]
        assert completed(declared()).strategy.type == "bayesian"


def test_an_objective_of_the_catalog_declares_nothing() -> None:
    with pytest.raises(ValidationError):
        JobRequest.model_validate({"objective": declared(name="quadratic")})

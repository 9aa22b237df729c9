"""Parameters that mean something only with certain values of others."""

from typing import Any

import pytest

from objectives.contract import Metric, Objective, Parameter
from service.api.submission import complete
from service.domain.request import JobRequest
from service.domain.spec import JobSpec
from service.errors import InvalidJob

LOG = {"type": "float", "low": 1e-4, "high": 0.1, "log": True}


def parameter(name: str, default: Any, *cases: dict[str, tuple[Any, ...]], **overrides: Any) -> Parameter:
    kind = "categorical" if isinstance(default, bool | str) else type(default).__name__
    return Parameter(
        **{"name": name, "type": kind, "default": default, "space": None, "description": "", "applies_when": cases} | overrides
    )


OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
TUNED = Objective(
    name="tuned",
    description="Has an optimizer.",
    module="nowhere",
    metrics=(Metric(name="loss", direction="minimize", description=""),),
    parameters=(
        parameter("learning_rate", 0.1, space=LOG),
        parameter("optimizer", "sgd", choices=OPTIMIZERS),
        parameter("momentum", 0.9, {"optimizer": ("sgd", "rmsprop")}, space={"type": "float", "low": 0.0, "high": 0.99}),
        parameter("nesterov", False, {"optimizer": ("sgd",), "momentum": (0.5, 0.9)}, choices=(False, True)),
        parameter("beta1", 0.9, {"optimizer": ("adam", "adamw")}),
        parameter("warmup_epochs", 0),
        parameter("warmup_start", 0.1, {"warmup_epochs": (1, 2, 3)}, low=0.0, high=1.0, high_open=True),
        parameter("flip", False, {"dataset": ("images",)}, {"augment": (True,)}, choices=(False, True)),
    ),
    settings_schema={
        "type": "object",
        "properties": {
            "dataset": {"enum": ["digits", "images"], "default": "digits"},
            "augment": {"type": "boolean"},
            "size": {"type": "integer", "default": 32, "x-applies-when": [{"dataset": ["images"]}, {"momentum": [0.5]}]},
        },
    },
)


def submitted(search_space: dict[str, Any] | None, settings: dict[str, Any] | None = None, **overrides: Any) -> JobSpec:
    document = {"objective": {"name": "tuned", "settings": settings or {}}, "search_space": search_space} | overrides
    return complete(JobRequest.model_validate(document), {"tuned": TUNED})


def faults(search_space: dict[str, Any], settings: dict[str, Any] | None = None, **overrides: Any) -> dict[str, str]:
    with pytest.raises(InvalidJob) as caught:
        submitted({"learning_rate": LOG} | search_space, settings, **overrides)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def any_of(*choices: Any) -> dict[str, Any]:
    return {"type": "categorical", "choices": choices}


SGD = {"learning_rate", "optimizer", "momentum", "nesterov", "warmup_epochs"}


@pytest.mark.parametrize(
    ("search_space", "settings", "where", "says"),
    [
        (
            {"beta1": 0.8},
            {},
            "beta1",
            "beta1 has no effect with optimizer 'sgd': it applies when optimizer is 'adam' or 'adamw'",
        ),
        (
            {"beta1": 0.8, "optimizer": any_of("sgd", "rmsprop")},
            {},
            "beta1",
            "beta1 has no effect with optimizer 'sgd' or 'rmsprop': it applies when optimizer is 'adam' or 'adamw'",
        ),
        (
            {"nesterov": True, "momentum": 0.8},
            {},
            "nesterov",
            "nesterov has no effect with momentum 0.8: it applies when optimizer is 'sgd' and momentum is 0.5 or 0.9",
        ),
        (
            {"nesterov": True, "momentum": {"type": "float", "low": 0.6, "high": 0.8}},
            {},
            "nesterov",
            "nesterov has no effect with momentum 0.6 to 0.8: it applies when optimizer is 'sgd' and momentum is 0.5 or 0.9",
        ),
        (
            {"warmup_start": 0.5, "warmup_epochs": {"type": "int", "low": 4, "high": 9}},
            {},
            "warmup_start",
            "warmup_start has no effect with warmup_epochs whole numbers 4 to 9: it applies when warmup_epochs is 1, 2 or 3",
        ),
        (
            {"flip": False},
            {},
            "flip",
            "flip has no effect with dataset 'digits' and no augment: it applies when dataset is 'images', or when augment"
            " is true",
        ),
        (
            {"flip": False},
            {"augment": False},
            "flip",
            "flip has no effect with dataset 'digits' and augment false: it applies when dataset is 'images', or when augment"
            " is true",
        ),
    ],
)
def test_a_parameter_fixed_where_it_means_nothing_is_refused_with_when_it_would(
    search_space: dict[str, Any], settings: dict[str, Any], where: str, says: str
) -> None:
    assert faults(search_space, settings) == {f"/search_space/{where}": says}


@pytest.mark.parametrize(
    ("search_space", "settings"),
    [
        ({"beta1": 0.8, "optimizer": "adam"}, {}),
        ({"beta1": 0.8, "optimizer": any_of("sgd", "adamw")}, {}),
        ({"nesterov": True}, {}),
        ({"nesterov": True, "optimizer": any_of(*OPTIMIZERS), "momentum": any_of(0.1, 0.5)}, {}),
        ({"nesterov": True, "momentum": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.25}}, {}),
        ({"warmup_start": 0.5, "warmup_epochs": {"type": "int", "low": 3, "high": 9}}, {}),
        ({"warmup_start": 0.5, "warmup_epochs": 2}, {}),
        ({"flip": True}, {"augment": True}),
        ({"flip": True}, {"dataset": "images"}),
    ],
)
def test_one_that_may_apply_is_accepted(search_space: dict[str, Any], settings: dict[str, Any]) -> None:
    submitted({"learning_rate": LOG} | search_space, settings)


def test_only_what_is_nearest_to_apply_is_named() -> None:
    """A condition that two things keep from being met is no advice while another lacks one."""
    objective = Objective(
        **vars(TUNED)
        | {
            "parameters": (
                *TUNED.parameters,
                parameter("late", 0.5, {"optimizer": ("adam",), "dataset": ("images",)}, {"optimizer": ("rmsprop",)}),
            )
        }
    )
    job = JobRequest.model_validate({"objective": {"name": "tuned"}, "search_space": {"learning_rate": LOG, "late": 0.1}})
    with pytest.raises(InvalidJob) as caught:
        complete(job, {"tuned": objective})
    assert [fault.detail for fault in caught.value.faults] == [
        "late has no effect with optimizer 'sgd': it applies when optimizer is 'rmsprop'"
    ]


def test_a_setting_that_means_nothing_is_refused_unless_it_is_at_its_default() -> None:
    says = (
        "size has no effect with dataset 'digits' and momentum 0.9: it applies when dataset is 'images', or when momentum is 0.5"
    )
    assert faults({}, {"size": 64}) == {"/objective/settings/size": says}
    submitted({"learning_rate": LOG}, {"size": 32})
    submitted({"learning_rate": LOG}, {"size": 64, "dataset": "images"})
    submitted({"learning_rate": LOG, "momentum": {"type": "float", "low": 0.4, "high": 0.6}}, {"size": 64})


def test_a_point_to_try_first_with_what_means_nothing_in_the_job_is_told_why() -> None:
    says = "beta1 has no effect with optimizer 'sgd': it applies when optimizer is 'adam' or 'adamw'"
    assert faults({}, try_first=[{"beta1": 0.5}]) == {"/try_first/0/beta1": says}


def test_a_searched_parameter_that_cannot_apply_is_accepted() -> None:
    space = submitted({"learning_rate": LOG, "beta1": {"type": "float", "low": 0.5, "high": 0.9}}).search_space
    assert space is not None
    assert "beta1" in space


def test_points_to_try_first_may_hold_what_means_nothing_in_them() -> None:
    space = {"learning_rate": LOG, "optimizer": any_of("sgd", "adam"), "beta1": {"type": "float", "low": 0.5, "high": 0.9}}
    submitted(space, try_first=[{"optimizer": "sgd", "beta1": 0.5}])


@pytest.mark.parametrize(
    ("search_space", "settings", "names"),
    [
        ({}, {}, SGD),
        ({"optimizer": "adam"}, {}, {"learning_rate", "optimizer", "beta1", "warmup_epochs"}),
        ({"optimizer": any_of("rmsprop", "adam")}, {}, {"learning_rate", "optimizer", "beta1", "momentum", "warmup_epochs"}),
        ({"warmup_epochs": {"type": "int", "low": 0, "high": 1}}, {}, SGD | {"warmup_start"}),
        ({"momentum": 0.0}, {}, SGD - {"nesterov"}),
        ({}, {"dataset": "images"}, SGD | {"flip"}),
        (None, {}, SGD),
    ],
)
def test_the_defaults_are_filled_of_what_may_apply(
    search_space: dict[str, Any] | None, settings: dict[str, Any], names: set[str]
) -> None:
    given = None if search_space is None else {"learning_rate": LOG} | search_space
    completed = submitted(given, settings)
    assert completed.search_space.keys() == names
    assert complete(completed, {"tuned": TUNED}) == completed, "what comes back can be submitted again"


def test_a_range_of_the_default_space_that_cannot_apply_is_left_out() -> None:
    objective = Objective(
        **vars(TUNED) | {"parameters": (parameter("a", 0.5, space=LOG), parameter("b", 0.5, {"dataset": ("images",)}, space=LOG))}
    )
    for dataset, names in (("digits", ["a"]), ("images", ["a", "b"])):
        job = JobRequest.model_validate({"objective": {"name": "tuned", "settings": {"dataset": dataset}}})
        assert list(complete(job, {"tuned": objective}).search_space) == names


@pytest.mark.parametrize("value", [1, 0, 1.0, "true"])
def test_true_and_false_are_no_numbers(value: Any) -> None:
    for given in (value, any_of(value, True) if value == "true" else any_of(value)):
        assert "is not one of false, true" in faults({"nesterov": given})["/search_space/nesterov"]


@pytest.mark.parametrize("space", [{"nesterov": True}, {"nesterov": any_of(True, False)}])
def test_a_point_to_try_first_says_true_and_not_1(space: dict[str, Any]) -> None:
    submitted({"learning_rate": LOG} | space, try_first=[{"nesterov": True}])
    assert "/try_first/0/nesterov" in faults(space, try_first=[{"nesterov": 1}])


def test_a_number_is_one_value_however_it_is_written() -> None:
    submitted({"learning_rate": LOG, "momentum": 0}, try_first=[{"momentum": 0}, {"momentum": 0.0}])
    submitted({"learning_rate": LOG, "warmup_epochs": 1, "warmup_start": 0})

"""/v1/objectives: the objectives that jobs can name."""

from dataclasses import asdict

from fastapi import APIRouter

from service.api.catalog import Listed
from service.api.dependencies import Catalog
from service.api.meaning import meaning_of
from service.api.problems import documented
from service.api.schemas.objectives import BoundView, MetricView, ObjectiveView, ParameterView
from service.api.schemas.view import Page

router = APIRouter(prefix="/v1/objectives", tags=["objectives"])


@router.get("", responses=documented(422))
def list_objectives(catalog: Catalog) -> Page[ObjectiveView]:
    """List the objectives, each with its settings, parameters, default search space and metrics.

    Besides the built-in ones these are the objectives that workers have announced.
    """
    return Page(items=[_view(listed) for listed in catalog.listed()], next_cursor=None)


def _view(listed: Listed) -> ObjectiveView:
    objective = listed.objective
    meaning = meaning_of(objective)
    return ObjectiveView(
        name=objective.name,
        description=objective.description,
        metrics=[
            MetricView(name=metric.name, direction=metric.direction, description=metric.description)
            for metric in objective.metrics
        ],
        parameters=[
            ParameterView(
                name=parameter.name,
                type=parameter.type,
                default=parameter.default,
                description=parameter.description,
                low=parameter.low,
                low_open=parameter.low_open,
                high=parameter.high,
                high_open=parameter.high_open,
                bounds=[BoundView(**asdict(bound)) for bound in parameter.bounds],
                choices=None if parameter.choices is None else list(parameter.choices),
                applies_when=[{name: list(values) for name, values in case.items()} for case in parameter.applies_when],
                role=meaning.of(parameter.name).role,
                scale=meaning.of(parameter.name).scale,
                rate_shift=meaning.of(parameter.name).rate_shift,
                defines_measure=defines if isinstance(defines := parameter.defines_measure, bool) else list(defines),
            )
            for parameter in objective.parameters
        ],
        step_word=objective.step_word,
        search_space={parameter.name: parameter.space for parameter in objective.parameters if parameter.space is not None},
        settings_schema=dict(objective.settings_schema),
        offered=listed.is_offered,
        sha256=None if listed.sha256 is None else listed.sha256.hex(),
    )

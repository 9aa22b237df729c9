"""/v1/objectives: what a job can train."""

from fastapi import APIRouter

from objectives.contract import Objective
from service.api.dependencies import Catalog
from service.api.schemas import MetricView, ObjectiveView, Page, ParameterView

router = APIRouter(prefix="/v1/objectives", tags=["objectives"])


@router.get("")
def list_objectives(catalog: Catalog) -> Page[ObjectiveView]:
    """List the objectives, each with its settings, parameters, default search space and metrics."""
    return Page(items=[_view(catalog[name]) for name in sorted(catalog)], next_cursor=None)


def _view(objective: Objective) -> ObjectiveView:
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
                choices=None if parameter.choices is None else list(parameter.choices),
                applies_when=[{name: list(values) for name, values in case.items()} for case in parameter.applies_when],
            )
            for parameter in objective.parameters
        ],
        search_space={parameter.name: parameter.space for parameter in objective.parameters if parameter.space is not None},
        settings_schema=dict(objective.settings_schema),
    )

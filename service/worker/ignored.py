"""Which of the parameters that a job searches meant nothing in one of its trials."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from objectives.catalog import all_values
from objectives.contract import Objective
from service.domain.space import Point, searched
from service.domain.spec import JobSpec


def ignored(objective: Objective, spec: JobSpec, params: Point) -> list[str]:
    """Their names, sorted: what the others, and the settings, were in this trial gave them no meaning."""
    values = all_values(objective, params, spec.objective.settings)
    taken: defaultdict[str, Collection[Any]] = defaultdict(tuple, {name: (value,) for name, value in values.items()})
    ranges = searched(spec.search_space)
    return sorted(each.name for each in objective.parameters if each.name in ranges and not each.may_apply(taken))

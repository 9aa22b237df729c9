"""Jobs for benchmarks, of objectives that nobody trains; their parameters mean what their names usually do."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from objectives.catalog import load_catalog
from service.api.meaning import meaning_of
from service.domain.job import Job, JobState
from service.domain.phase import Phase
from service.domain.spec import JobSpec

USUAL_MEANING = meaning_of(load_catalog()["image-classification"])


def spec_of(document: Mapping[str, Any]) -> JobSpec:
    """A complete job: one that minimizes, unless the document says otherwise."""
    complete = {"direction": "minimize", "meaning": USUAL_MEANING, **document}
    complete["budget"] = {"confirm": 0} | document.get("budget", {})
    return JobSpec.model_validate(complete, strict=False)


def completed_job(document: Mapping[str, Any]) -> Job:
    """A job that exists only in memory, for answers about trials that do."""
    spec, now = spec_of(document), datetime.now(UTC)
    return Job(
        id=UUID(int=0), name=None, state=JobState.COMPLETED, reason=None, spec=spec, budget=spec.budget,
        phases=(Phase(spec=spec),), study_id=0, study_name="", next_point=0, failures_in_a_row=0, deadline_at=None,
        created_at=now, started_at=now, finished_at=now,
    )  # fmt: skip

"""report: what a job's page shows, as one file that needs neither server nor network."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.api.dependencies import Answers, Catalog, Db, JobId
from service.api.pages.job_content import content
from service.api.pages.standalone import standalone
from service.api.problems import documented

router = APIRouter(prefix="/v1/jobs", tags=["answers"])


@router.get("/{job_id}/report", response_class=HTMLResponse, responses=documented(404, 409, 422))
def report_of_job(job_id: JobId, database: Db, answers: Answers, catalog: Catalog, request: Request) -> HTMLResponse:
    """The job's page as one HTML file, to keep, to send and to print: answer, figures, trials and what they cost.

    It asks for nothing when it is opened: style, scripts and data are in the file.
    """
    page = f"{str(request.base_url).rstrip('/')}/jobs/{job_id}"
    shown = content(database, job_id, answers, catalog, best_first=True)
    return standalone("report.html", f"stride-{str(job_id)[:8]}.html", page=page, made_at=datetime.now(UTC), **shown)

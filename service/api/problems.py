"""Every error as RFC 9457 `application/problem+json`: one table from what went wrong to what the client is told."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from service import errors
from service.api.submission import pointer

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2

PROBLEMS: Mapping[type[errors.StrideError], tuple[str, str, int]] = {
    errors.JobNotFound: ("job-not-found", "There is no such job", 404),
    errors.TrialNotFound: ("trial-not-found", "There is no such trial", 404),
    errors.InvalidJob: ("invalid-job", "The job cannot be run as submitted", 422),
    errors.IdempotencyKeyReused: ("idempotency-key-reused", "The Idempotency-Key belongs to another request", 422),
    errors.IllegalMove: ("illegal-move", "The job's state does not allow this", 409),
    errors.NothingFinished: ("nothing-finished", "There is no answer yet", 409),
    errors.NoLearningRate: ("no-learning-rate", "The objective has no learning rate", 409),
    errors.InvalidCursor: ("invalid-cursor", "The cursor cannot be used", 422),
    errors.DatabaseUnavailable: ("database-unavailable", "The database cannot be reached right now", 503),
    errors.DatabaseNotMigrated: ("database-not-migrated", "The database is not ready for this version", 503),
}
"""From error to problem: the type's slug, the title, the status."""


class Fault(BaseModel):
    """One fault of a request."""

    pointer: str = Field(description="A JSON pointer into the body, or the name of a query parameter or header after a slash.")
    detail: str = Field(description="What is wrong, and what would be right.")


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="Names the kind of problem; stable.", examples=["urn:stride:job-not-found"])
    title: str
    status: int
    detail: str | None = None
    errors: list[Fault] | None = None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint that may answer with problems of these statuses."""
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        for status in (*statuses, 503)
    }


def problem(
    slug: str, title: str, status: int, detail: str | None = None, faults: list[Fault] | None = None
) -> JSONResponse:
    """An answer that tells of a problem."""
    body = Problem(type=f"urn:stride:{slug}", title=title, status=status, detail=detail, errors=faults)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, media_type=MEDIA_TYPE)


def of(error: errors.StrideError) -> JSONResponse:
    """The answer to one of our own errors."""
    slug, title, status = PROBLEMS[type(error)]
    faults = None
    if isinstance(error, errors.InvalidJob):
        faults = [Fault(pointer=fault.pointer, detail=fault.detail) for fault in error.faults]
    return problem(slug, title, status, str(error), faults)


def install(app: FastAPI) -> None:
    """Have `app` answer every error as a problem."""

    @app.exception_handler(errors.StrideError)
    def stride_error(request: Request, error: errors.StrideError) -> JSONResponse:
        return of(error)

    @app.exception_handler(RequestValidationError)
    def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            where = next(fault for fault in error.errors() if fault["type"] == "json_invalid")
            reason = where.get("ctx", {}).get("error", "it cannot be read")
            return problem("malformed-json", "The body is not JSON", 400, f"{reason}, at character {where['loc'][-1]}.")
        return problem("invalid-request", "The request is not valid", 422, faults=_faults(error))

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        answer = problem(phrase.lower().replace(" ", "-"), phrase, error.status_code, _http_detail(request, error))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        # What it was stands in the log, not in the answer: it may hold what clients must not see.
        log.error("request.failed", method=request.method, path=request.url.path, error=type(error).__name__)
        return problem("internal-error", "Stride made a mistake", 500, "The server's log holds the details.")


def _http_detail(request: Request, error: HTTPException) -> str:
    match error.status_code:
        case 404:
            return f"There is nothing at {request.url.path}; /docs lists what there is."
        case 405:
            return f"{request.url.path} does not take {request.method}; /docs lists what it takes."
        case _:
            return str(error.detail)


def _faults(error: RequestValidationError) -> list[Fault]:
    """Pydantic's errors as pointers into what was sent, one for each place."""
    faults: dict[str, Fault] = {}
    for found in error.errors():
        where, *path = found["loc"]
        # Pydantic names the branch of a union that it tried, which is no part of the document.
        place = pointer(*_existing(error.body, path)) if where == "body" else pointer(*path)
        faults.setdefault(place, Fault(pointer=place, detail=_detail(found)))
    return list(faults.values())


def _existing(body: Any, path: list[str | int]) -> list[str | int]:
    existing: list[str | int] = []
    for index, part in enumerate(path):
        if isinstance(body, dict) and (part in body or (index == len(path) - 1 and part not in _BRANCHES)):
            body = body.get(part)
            existing.append(part)
        elif isinstance(body, list) and isinstance(part, int):
            body = body[part] if part < len(body) else None
            existing.append(part)
    return existing


_BRANCHES = frozenset(
    {"value", "bool", "int", "float", "str", "categorical"}
    | {"grid", "random", "bayesian", "none", "median", "percentile", "successive_halving", "hyperband"}
)
"""How pydantic names the branches of the unions in a job."""


def _detail(found: Mapping[str, Any]) -> str:
    if found["type"] == "extra_forbidden":
        return "is not known here: remove it, or look for a misspelling"
    if found["type"] == "missing":
        return "is missing"
    message = str(found["msg"]).removeprefix("Value error, ")
    return message.replace("Input tag", "The type").replace("Input should", "should")

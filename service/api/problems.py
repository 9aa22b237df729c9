"""Every error as RFC 9457 `application/problem+json`: one table maps errors to what the client receives."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service import errors
from service.api.body_models import body_model
from service.api.faults import Fault, faults_of

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2

PROBLEMS: Mapping[type[errors.StrideError], tuple[str, str, int]] = {
    errors.JobNotFound: ("job-not-found", "There is no such job", 404),
    errors.AmbiguousJob: ("ambiguous-job", "The job's id is ambiguous", 409),
    errors.TrialNotFound: ("trial-not-found", "There is no such trial", 404),
    errors.InvalidJob: ("invalid-job", "The job cannot be run as submitted", 422),
    errors.InvalidQuestion: ("invalid-request", "The request is not valid", 422),
    errors.NotComparable: ("not-comparable", "The jobs cannot be compared", 422),
    errors.TooFewToCompare: ("too-few-to-compare", "There is nothing to compare yet", 409),
    errors.IdempotencyKeyReused: ("idempotency-key-reused", "The Idempotency-Key belongs to another request", 422),
    errors.IllegalMove: ("illegal-move", "The job's state does not allow this", 409),
    errors.NotExtendable: ("not-extendable", "The job cannot be extended like this", 409),
    errors.NothingFinished: ("nothing-finished", "There is no answer yet", 409),
    errors.NoModel: ("no-model", "There is no model of the best trial", 404),
    errors.NoBatchScaling: ("no-batch-scaling", "There is no batch scaling yet", 409),
    errors.NoLearningRate: ("no-learning-rate", "The objective has no learning rate", 409),
    errors.InvalidCursor: ("invalid-cursor", "The cursor cannot be used", 422),
    errors.NotExternal: ("not-external", "Clients cannot train this job", 409),
    errors.TokenInUse: ("token-in-use", "The token is in use", 409),
    errors.LeaseLost: ("lease-lost", "The lease has ended", 409),
    errors.NoCheckpoint: ("no-checkpoint", "There is no checkpoint", 404),
    errors.DatabaseUnavailable: ("database-unavailable", "The database cannot be reached right now", 503),
    errors.DatabaseNotMigrated: ("database-not-migrated", "The database is not ready for this version", 503),
}
"""From error to problem: the type's slug, the title, the status."""

_HTTP_PROBLEMS = {
    400: ("malformed-body", "The body cannot be read"),
    404: ("not-found", "There is nothing here"),
    405: ("method-not-allowed", "The method is not allowed here"),
    408: ("request-timeout", "The body did not come in time"),
    413: ("body-too-large", "The body is too large"),
    415: ("unsupported-media-type", "The body's media type is not supported"),
}
"""Requests that the framework refuses: from status to slug and title."""

MAX_DETAIL = 1_000
"""Longest text of a problem, in characters: it may quote the request."""


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="The kind of problem, as a stable URI.", examples=["urn:stride:job-not-found"])
    title: str
    status: int
    detail: str | None = None
    errors: list[Fault] | None = None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint that may answer with problems of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in (*statuses, 421, 503)}


def problem(slug: str, title: str, status: int, detail: str | None = None, faults: list[Fault] | None = None) -> JSONResponse:
    """A problem as a response."""
    shown = [Fault(pointer=_shown(fault.pointer), detail=_shown(fault.detail)) for fault in faults] if faults else None
    body = Problem(type=f"urn:stride:{slug}", title=title, status=status, detail=detail and _shown(detail), errors=shown)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, media_type=MEDIA_TYPE)


def of(error: errors.StrideError) -> JSONResponse:
    """The response to one of Stride's own errors."""
    slug, title, status = PROBLEMS[type(error)]
    faults = None
    if isinstance(error, errors.InvalidJob | errors.InvalidQuestion | errors.NotComparable):
        faults = [Fault(pointer=fault.pointer, detail=fault.detail) for fault in error.faults]
    return problem(slug, title, status, str(error), faults)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem, and describe problems in its OpenAPI document."""
    _describe(app)

    @app.exception_handler(errors.StrideError)
    def stride_error(request: Request, error: errors.StrideError) -> JSONResponse:
        return of(error)

    @app.exception_handler(RequestValidationError)
    def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem("invalid-request", "The request is not valid", 422, faults=faults_of(error, body_model(request)))

    @app.exception_handler(ClientDisconnect)
    def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        # Nobody hears this; and it is no error of the service's, which would be logged with its traceback.
        return problem("malformed-body", "The body cannot be read", 400, "The connection was closed before the body's end.")

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        slug, title = _HTTP_PROBLEMS.get(error.status_code, (phrase.lower().replace(" ", "-"), phrase))
        answer = problem(slug, title, error.status_code, _http_detail(request, error))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The error is logged and not part of the response: it may contain what clients must not see.
        log.error("request.failed", method=request.method, path=request.url.path, error=type(error).__name__)
        return problem("internal-error", "An internal error occurred", 500, "The server's log has the details.")


def _shown(text: str) -> str:
    """`text` as valid UTF-8, cut to MAX_DETAIL characters."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 1] + "…"


def _describe(app: FastAPI) -> None:
    """Add the schema of problems, which no endpoint returns as a model, to the OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= schema.pop("$defs") | {"Problem": schema}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending it


def _http_detail(request: Request, error: HTTPException) -> str:
    match error.status_code:
        case 404:
            return f"There is nothing at {request.url.path}; /docs lists what there is."
        case 405:
            return f"{request.url.path} does not take {request.method}; /docs lists what it takes."
        case _:
            return str(error.detail)

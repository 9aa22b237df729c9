"""/v1/jobs/{id}/trials/{n}/checkpoint: what a client has stored of a run, to go on from it. It is kept in PostgreSQL."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import Response

from service.api.client_reports import answer_of
from service.api.clients import AskingClients
from service.api.dependencies import Folder, JobId
from service.api.problems import documented
from service.api.schemas.claims import Report
from service.api.trials import Number
from service.dispatch.clients import Run
from service.store import checkpoint_files

router = APIRouter(prefix="/v1/jobs/{job_id}/trials/{number}", tags=["ask and tell"])

MEDIA_TYPE = "application/octet-stream"
BINARY = {"type": "string", "format": "binary"}
SILENT_S = 10.0
"""How long a client may send nothing of a checkpoint that it has begun to send: it may be stopped, or its machine be gone."""
PATH = re.compile(r"/v1/jobs/[^/]+/trials/[^/]+/checkpoint")
TokenOfTrial = Annotated[UUID, Query(description="The token that the trial was claimed with.")]


async def _content(request: Request, clients: AskingClients) -> AsyncIterator[bytes]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise HTTPException(415, f"Send the checkpoint's bytes, with the header Content-Type: {MEDIA_TYPE}.")
    async with clients.receiving:
        content = await _received(request)
        if not content:
            said = "is empty: send the checkpoint's bytes"
            raise RequestValidationError([{"type": "value_error", "loc": ("body",), "msg": said, "input": None}])
        yield content


async def _received(request: Request) -> bytes:
    """The whole body. Few are received at once, so one that does not go on must not keep the others out."""
    content = bytearray()
    try:
        async with asyncio.timeout(SILENT_S) as silent:
            async for chunk in request.stream():
                content += chunk
                silent.reschedule(asyncio.get_running_loop().time() + SILENT_S)
    except TimeoutError:
        detail = f"Nothing of the checkpoint came for {SILENT_S:g} s: send it again."
        raise HTTPException(408, detail, {"Connection": "close"}) from None
    return bytes(content)


@router.put(
    "/checkpoint",
    responses=documented(403, 404, 408, 409, 413, 415, 422),
    openapi_extra={
        "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def keep_checkpoint(
    job_id: JobId,
    number: Number,
    token: TokenOfTrial,
    step: Annotated[int, Query(ge=1, lt=2**31, description="The last step that is in it, which was reported before.")],
    content: Annotated[bytes, Depends(_content)],
    clients: AskingClients,
    folder: Folder,
) -> Report:
    """Store a checkpoint, and renew the lease. The one before it is kept, too, in case that this one is damaged."""
    told, paths = clients.runs.keep(Run(job_id=job_id, number=number, token=token), step, content)
    checkpoint_files.delete(folder, paths)
    return answer_of(told, clients)


@router.get(
    "/checkpoint",
    response_class=Response,
    responses={
        200: {
            "description": "The bytes that were stored.",
            "content": {MEDIA_TYPE: {}},
            "headers": {"Stride-Step": {"description": "The last step that is in it.", "schema": {"type": "integer"}}},
        },
        **documented(404, 409, 422),
    },
)
def get_checkpoint(job_id: JobId, number: Number, token: TokenOfTrial, clients: AskingClients) -> Response:
    """The newest checkpoint of a trial that is held, to go on from it: the trial's attempts say from which step it went on."""
    step, content = clients.runs.resume(Run(job_id=job_id, number=number, token=token))
    return Response(content, media_type=MEDIA_TYPE, headers={"Stride-Step": str(step)})

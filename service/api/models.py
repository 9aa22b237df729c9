"""best-model: the weights of a job's best trial, as safetensors."""

import hashlib
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from service.api.dependencies import Db, Folder
from service.api.problems import documented
from service.domain.checkpoint import Kind
from service.errors import NoModel, NothingFinished
from service.store import checkpoint_files, checkpoints, jobs, trial_reader
from service.store.checkpoints import StoredCheckpoint

router = APIRouter(prefix="/v1/jobs", tags=["answers"])

MEDIA_TYPE = "application/octet-stream"


@router.get(
    "/{job_id}/best-model",
    response_class=Response,
    responses={200: {"description": "A safetensors file.", "content": {MEDIA_TYPE: {}}}, **documented(404, 409, 422)},
)
def best_model(job_id: UUID, database: Db, folder: Folder) -> Response:
    """The weights of the best trial so far, as a safetensors file whose metadata hold params, objective, settings and value."""
    with database.transaction() as conn:
        number, model = _find(conn, job_id)
        content = checkpoints.content(conn, model.id)
    headers = {"ETag": f'"{model.sha256.hex()}"', "X-Stride-Trial": str(number)}
    name = f"stride-{str(job_id)[:8]}-trial-{number}.safetensors"
    if model.path is not None:
        return FileResponse(_readable(folder, model, number), media_type=MEDIA_TYPE, filename=name, headers=headers)
    if content is None or hashlib.sha256(content).digest() != model.sha256:
        raise NoModel(f"The model of trial {number} is damaged: the stored bytes do not have the SHA-256 that was recorded.")
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


def _find(conn: sa.Connection, job_id: UUID) -> tuple[int, StoredCheckpoint]:
    """The best trial's number, and its model. Raises JobNotFound, NothingFinished, NoModel."""
    job = jobs.get(conn, job_id)
    best = trial_reader.best(conn, job)
    if best is None:
        raise NothingFinished("No trial has been trained to its end yet, so there is no best model: ask again when one has.")
    model = checkpoints.newest(conn, trial_reader.trial_id(conn, job, best.number), Kind.MODEL)
    if model is None:
        raise NoModel(
            f"Trial {best.number} is the best, but no model of it is kept: its objective's state has no `model`,"
            " another program trained it, or the model could not be stored (see its events)."
        )
    return best.number, model


def _readable(folder: Path | None, model: StoredCheckpoint, number: int) -> Path:
    """The model's file. Raises NoModel."""
    assert model.path is not None
    if folder is None:
        raise NoModel(
            f"The model of trial {number} is in a folder, at {model.path}; this API was started without STRIDE_CHECKPOINT_DIR."
        )
    file = folder / model.path
    try:
        whole = checkpoint_files.is_whole(file, model)
    except OSError as error:
        raise NoModel(f"The model of trial {number} cannot be read from {file}: {error.strerror or error}.") from error
    if not whole:
        raise NoModel(f"The model of trial {number} is damaged: {file} does not have the SHA-256 that was recorded.")
    return file

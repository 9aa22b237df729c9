"""best-model: the weights of the answered point, or of a job's best trial, as safetensors."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response

from service.api.dependencies import Answers, Db, Folder, JobId
from service.api.problems import documented
from service.domain.answer import Answer
from service.domain.checkpoint import Kind
from service.domain.job import Job
from service.domain.meaning import Role
from service.domain.trial import Trial, TrialState
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
def best_model(
    job_id: JobId,
    database: Db,
    folder: Folder,
    answers: Answers,
    of: Annotated[
        Literal["answer", "best-trial"],
        Query(
            description="answer: the best of the trials of the answered point, where points were trained again to confirm them."
        ),
    ] = "answer",
) -> Response:
    """Weights as a safetensors file whose metadata hold params, objective, settings and value.

    Those of the answered point, if the job confirms its answer; else those of the best trial so far. `X-Stride-Trial` says which
    trial's they are.
    """
    with database.transaction() as conn:
        job = jobs.get(conn, job_id)
        confirms = of == "answer" and any(phase.is_confirming for phase in job.phases)
        read = trial_reader.finished_with_pruned_curves(conn, job) if confirms else None
    numbers = [] if read is None or not read[0] else _at_answer(job, answers.answer(job, *read).answer, read[0])
    with database.transaction() as conn:
        number, model = _find(conn, job, numbers)
        content = checkpoints.content(conn, model.id)
    headers = {"ETag": f'"{model.sha256.hex()}"', "X-Stride-Trial": str(number)}
    name = f"stride-{str(job_id)[:8]}-trial-{number}.safetensors"
    if model.path is not None:
        return FileResponse(_readable(folder, model, number), media_type=MEDIA_TYPE, filename=name, headers=headers)
    if content is None or hashlib.sha256(content).digest() != model.sha256:
        raise NoModel(f"The model of trial {number} is damaged: the stored bytes do not have the SHA-256 that was recorded.")
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


def _at_answer(job: Job, answer: Answer, trials: Sequence[Trial]) -> list[int]:
    """The numbers of the trials of the answered point, if it was trained again; the best one first."""
    candidates = () if answer.confirmed is None else answer.confirmed.candidates
    answered = next((candidate for candidate in candidates if candidate.is_answered), None)
    name = job.spec.meaning.named(Role.LEARNING_RATE)
    if answered is None or name is None:
        return []
    point = {**answered.params, name: answered.learning_rate}
    at = [
        (job.spec.cost_sign * trial.value, trial.number)
        for trial in trials
        if trial.state is TrialState.COMPLETE
        and trial.value is not None
        and all(trial.params.get(parameter) == value for parameter, value in point.items())
    ]
    return [number for _, number in sorted(at)]


def _find(conn: sa.Connection, job: Job, numbers: Sequence[int]) -> tuple[int, StoredCheckpoint]:
    """The first of these trials that has a model, and its model; if none has one, those of the best trial.

    Raises NothingFinished, NoModel.
    """
    for number in numbers:
        model = checkpoints.newest(conn, trial_reader.trial_id(conn, job, number), Kind.MODEL)
        if model is not None:
            return number, model
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

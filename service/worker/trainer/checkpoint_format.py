"""Checkpoints as bytes, on the trainer's side: encoded, written, read back and checked.

A state with tensors is written by `torch.save` and read by `torch.load(weights_only=True)`, which builds tensors and plain values
and runs no code. A state of plain values only is JSON, so that objectives without torch do not need it.
Weights to be served are safetensors, with the trial's parameters as metadata.
"""

import hashlib
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.domain.checkpoint import Checkpoint, Kind
from service.worker.trainer.messages import CheckpointPlace


class BadCheckpoint(Exception):
    """It cannot be taken, or is damaged; the message says why."""


class UnreachableCheckpoint(Exception):
    """It cannot be read here, but perhaps elsewhere or later."""


def encode(state: Mapping[str, Any]) -> bytes:
    """A run's state as bytes."""
    if _is_plain(state):
        return json.dumps(state).encode()
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def decode(content: bytes) -> dict[str, Any]:
    """The state in `content`. Raises BadCheckpoint when it holds anything but tensors and plain values, or is no state."""
    try:
        if content.startswith(b"{"):
            state: dict[str, Any] = json.loads(content)
            return state
        import torch

        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return state
    except Exception as error:  # a broken file may raise anything
        raise BadCheckpoint(f"it cannot be read: {_first_line(error)}") from error


def encode_model(state: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes | None:
    """The weights under `model` in a run's state as safetensors; None when there are none."""
    model = state.get("model")
    if not isinstance(model, Mapping) or not model:
        return None
    import torch
    from safetensors.torch import save

    if not all(isinstance(weights, torch.Tensor) for weights in model.values()):
        return None
    # Copies, since safetensors refuses tensors that share memory, as tied weights do.
    return save({name: weights.detach().cpu().clone().contiguous() for name, weights in model.items()}, dict(metadata))


def keep(content: bytes, kind: Kind, step: int, place: CheckpointPlace) -> Checkpoint:
    """Write a checkpoint into the folder, or return its content for the database. Raises BadCheckpoint, OSError."""
    digest = hashlib.sha256(content).digest()
    if place.folder is not None:
        path = f"{place.name}-{step}.{'safetensors' if kind is Kind.MODEL else 'checkpoint'}"
        _write(Path(place.folder) / path, content)
        return Checkpoint(kind=kind, step=step, size=len(content), sha256=digest, content=None, path=path)
    if len(content) > place.max_bytes:
        raise BadCheckpoint(
            f"its {len(content):,} bytes are more than the {place.max_bytes:,} that STRIDE_CHECKPOINT_MAX_BYTES allows in the"
            " database; set STRIDE_CHECKPOINT_DIR to store it in a folder"
        )
    return Checkpoint(kind=kind, step=step, size=len(content), sha256=digest, content=content, path=None)


def read(checkpoint: Checkpoint, folder: str | None) -> dict[str, Any]:
    """The state in a checkpoint. Raises BadCheckpoint when it is damaged, UnreachableCheckpoint when it cannot be read here."""
    if checkpoint.path is None:
        content = checkpoint.content or b""
    elif folder is None:
        raise UnreachableCheckpoint("it is stored in a folder, and STRIDE_CHECKPOINT_DIR is not set here")
    else:
        file = Path(folder) / checkpoint.path
        try:
            content = file.read_bytes()
        except OSError as error:
            # If the job's folder is missing, the disk may not be mounted here.
            is_lost = isinstance(error, FileNotFoundError) and file.parent.is_dir()
            raise (BadCheckpoint if is_lost else UnreachableCheckpoint)(f"its file cannot be read: {error}") from error
    if len(content) != checkpoint.size or hashlib.sha256(content).digest() != checkpoint.sha256:
        raise BadCheckpoint(f"it is damaged: {len(content):,} bytes of {checkpoint.size:,} are there, with another sha256")
    return decode(content)


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically: a temporary file, synced, renamed, and the folder synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _is_plain(value: Any) -> bool:
    """Whether a value is exactly the same after JSON."""
    match value:
        case None | bool() | int() | str():
            return type(value) in (type(None), bool, int, str)
        case float():
            return type(value) is float and not math.isnan(value)
        case list():
            return type(value) is list and all(map(_is_plain, value))
        case dict():
            return type(value) is dict and all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return False


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__

"""Checkpoints as bytes, on the trainer's side: encoded, written, read back and checked.

A state with tensors or NumPy arrays is written by `torch.save` and read by `torch.load(weights_only=True)`, which builds tensors,
arrays and plain values, and runs no code. A state of plain values only is JSON, so that objectives without torch do not need it.
Bytes, which a script's own process makes and reads, are stored as they are.
Weights to be served are safetensors, with the trial's parameters as metadata.
"""

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.domain.checkpoint import Checkpoint, Kind
from service.worker.trainer.messages import CheckpointPlace

HOLDS = "a checkpoint holds tensors, NumPy arrays, numbers, text, lists and dictionaries"
_BYTES = b"bytes\n"
"""Begins the checkpoint of a run whose state is bytes: neither JSON nor a file of torch."""


class BadCheckpoint(Exception):
    """It cannot be taken, or is damaged; the message says why."""


class UnreachableCheckpoint(Exception):
    """It cannot be read here, but perhaps elsewhere or later."""


def encode(state: Mapping[str, Any] | bytes) -> bytes:
    """A run's state as bytes. Raises BadCheckpoint when it cannot be stored."""
    if isinstance(state, bytes):
        return _BYTES + state
    try:
        return json.dumps(state).encode() if _is_plain(state) else _torch_saved(state)
    except RecursionError as error:
        raise BadCheckpoint("state_dict() contains itself, or is nested too deeply to be stored") from error
    except Exception as error:  # pickle asks the values themselves, which may raise anything
        raise BadCheckpoint(_unstorable(state) or f"state_dict() cannot be stored: {_first_line(error)}") from error


def check_usable(state: Mapping[str, Any] | bytes, content: bytes, readable: set[type]) -> None:
    """Raises BadCheckpoint when a run cannot resume from a state: it is empty, or `content`, its bytes, cannot be read back.

    readable: the types that were found readable before. Only a state with others is read back, and these are added.
    """
    if isinstance(state, bytes):
        return  # the run has made them itself
    if not isinstance(state, Mapping):
        raise BadCheckpoint(f"state_dict() is {_a(state)}: it must be a dictionary of what the run needs to resume")
    if not state:
        raise BadCheckpoint("state_dict() is empty: it must hold what the run needs to resume, such as the step that it is at")
    types = _types_in(state)
    if types <= readable:
        return
    try:
        decode(content)
    except BadCheckpoint as error:
        raise BadCheckpoint(_unstorable(state) or str(error)) from error
    readable |= types


def decode(content: bytes) -> Any:
    """The state in `content`. Raises BadCheckpoint when it holds anything but tensors, NumPy arrays and plain values."""
    if content.startswith(_BYTES):
        return content.removeprefix(_BYTES)
    try:
        if content.startswith(b"{"):
            state: dict[str, Any] = json.loads(content)
            return state
        import torch

        with torch.serialization.safe_globals(_numpy_globals()):
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return state
    except Exception as error:  # a broken file may raise anything
        refused = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))  # torch's first line says how to run code from it
        said = _first_line(error) if refused is None else f"it holds a value of type {refused[1]}; {HOLDS}"
        raise BadCheckpoint(f"it cannot be read: {said}") from error


def encode_model(state: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes | None:
    """The weights under `model` in a run's state as safetensors; None when there are none."""
    model = state.get("model") if isinstance(state, Mapping) else None
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


def read(checkpoint: Checkpoint, folder: str | None) -> Any:
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


def _torch_saved(value: Any) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _numpy_globals() -> list[Any]:
    """What NumPy's arrays and scalars are made of when they are read: constructors, none of which runs code from the file."""
    import numpy as np

    constructors = [np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    dtypes = {type(np.dtype(code)) for code in np.typecodes["All"]}
    return [np.ndarray, np.dtype, bytes, *constructors, *dtypes]  # an empty array holds bytes()


def _unstorable(state: Any, where: str = "state_dict()") -> str | None:
    """Which value in a state cannot be stored and read back, in a sentence; None: each of them can."""
    if type(state) in (dict, list, tuple) or isinstance(state, Mapping):
        entries = state.items() if isinstance(state, Mapping) else enumerate(state)
        found = next(filter(None, (_unstorable(value, f"{where}[{key!r}]") for key, value in entries)), None)
        if found is not None or type(state) in (dict, list, tuple):
            return found
    try:
        decode(_torch_saved(state))
    except Exception:  # pickle asks the value itself, which may raise anything
        return f"{where} is {_a(state)}: {HOLDS}"
    return None


def _types_in(state: Any) -> set[type]:
    """The types of all values in a state."""
    types, seen, to_do = set[type](), set[int](), [state]
    while to_do:
        value = to_do.pop()
        types.add(type(value))
        if id(value) in seen:  # it contains itself
            continue
        if isinstance(value, Mapping):
            to_do += (*value, *value.values())
        elif isinstance(value, list | tuple | set | frozenset):
            to_do += value
        elif getattr(getattr(value, "dtype", None), "hasobject", False):  # an array of Python objects
            to_do += value.flat
        else:
            continue
        seen.add(id(value))
    return types


def _a(value: Any) -> str:
    kind = type(value)
    of = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return "None" if value is None else f"a value of type {of}{kind.__qualname__}"


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

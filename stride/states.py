"""What a script saves, as bytes and back: dictionaries, lists, tuples, numbers, text, bytes, NumPy arrays, tensors; or a folder.

A zip file without compression: tree.json, the structure; arrays/N.npy; tensors.pt, all tensors in one file of torch.save; and
folders/N/..., the files of folders. Reading it runs no code from it. NumPy and torch are imported only if there is need.
"""

import base64
import io
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HOLDS = "a state holds tensors, NumPy arrays, numbers, text, lists, tuples and dictionaries of these"


class BadState(Exception):
    """A value in a state cannot be stored; the message says which."""


def encode(value: Any, where: str = "state") -> bytes:
    """A value as bytes. where: what it is called in messages. Raises BadState, and OSError where a folder cannot be read."""
    encoder = _Encoder()
    try:
        tree = encoder.tree(value, where)
    except RecursionError:
        raise BadState(f"{where} is nested too deeply, or holds itself") from None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        _add(file, "tree.json", json.dumps(tree).encode())
        for number, array in enumerate(encoder.arrays):
            _add(file, f"arrays/{number}.npy", _saved_array(array))
        if encoder.tensors:
            _add(file, "tensors.pt", _saved_tensors(encoder.tensors))
        for number, folder in enumerate(encoder.folders):
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                _add(file, f"folders/{number}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return buffer.getvalue()


def decode(content: bytes, place: Path | None = None, only: str | None = None) -> Any:
    """The value in `content`. place: where its folders are put. only: the entry of the dictionary to decode; else None."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        tree = json.loads(file.read("tree.json"))
        if only is not None:
            tree = next((value for key, value in tree.get("dict", ()) if key == only), None)
        tensors: list[Any] = []
        if "tensors.pt" in file.namelist() and '{"tensor":' in json.dumps(tree):
            import torch

            tensors = torch.load(io.BytesIO(file.read("tensors.pt")), map_location="cpu", weights_only=True)
        return _Decoder(file, tensors, place).value(tree)


class _Encoder:
    def __init__(self) -> None:
        self.arrays: list[Any] = []
        self.tensors: list[Any] = []
        self.folders: list[Path] = []

    def tree(self, value: Any, where: str) -> Any:
        """The structure of a value: plain values as they are, all else as {kind: ...}."""
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind is list:
            return {"list": [self.tree(each, f"{where}[{index}]") for index, each in enumerate(value)]}
        if isinstance(value, tuple):
            return {"tuple": [self.tree(each, f"{where}[{index}]") for index, each in enumerate(value)]}
        if isinstance(value, Mapping):
            pairs = [[self.tree(key, f"a key of {where}"), self.tree(each, f"{where}[{key!r}]")] for key, each in value.items()]
            return {"dict": pairs} | self._metadata(value, where)
        if kind is bytes:
            return {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, os.PathLike):
            return {"folder": self._folder(Path(value), where)}
        return self._numeric(value, where)

    def _metadata(self, value: Any, where: str) -> dict[str, Any]:
        """That of a module's state_dict: versions, which load_state_dict reads."""
        metadata = getattr(value, "_metadata", None)
        return {} if not isinstance(metadata, Mapping) else {"metadata": self.tree(dict(metadata), where)}

    def _folder(self, folder: Path, where: str) -> int:
        if not folder.is_dir():
            raise BadState(f"{where} is the path {folder}, which is no folder")
        self.folders.append(folder)
        return len(self.folders) - 1

    def _numeric(self, value: Any, where: str) -> Any:
        torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
        if torch is not None and isinstance(value, torch.Tensor):
            self.tensors.append(value.detach())
            return {"tensor": len(self.tensors) - 1}
        if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
            if value.dtype.hasobject or (value.dtype.kind == "V" and value.dtype.names is None):
                raise BadState(f"{where} is an array of {value.dtype}, which cannot be stored: {HOLDS}")
            self.arrays.append(value)
            return {"array" if isinstance(value, numpy.ndarray) else "scalar": len(self.arrays) - 1}
        of = "" if type(value).__module__ == "builtins" else f"{type(value).__module__}."
        raise BadState(f"{where} is a value of type {of}{type(value).__qualname__}: {HOLDS}")


class _Decoder:
    def __init__(self, file: zipfile.ZipFile, tensors: list[Any], place: Path | None) -> None:
        self._file = file
        self._tensors = tensors
        self._place = place

    def value(self, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        match tree:
            case {"list": items}:
                return [self.value(each) for each in items]
            case {"tuple": items}:
                return tuple(self.value(each) for each in items)
            case {"dict": pairs}:
                found = {self.value(key): self.value(each) for key, each in pairs}
                return found if "metadata" not in tree else _with_metadata(found, self.value(tree["metadata"]))
            case {"bytes": text}:
                return base64.b64decode(text)
            case {"tensor": number}:
                return self._tensors[number]
            case {"array": number}:
                return self._array(number)
            case {"scalar": number}:
                return self._array(number)[()]
            case {"folder": number}:
                return self._folder(number)
        raise ValueError(f"a state of this version of Stride has no {', '.join(tree)}")

    def _array(self, number: int) -> Any:
        import numpy

        return numpy.load(io.BytesIO(self._file.read(f"arrays/{number}.npy")), allow_pickle=False)

    def _folder(self, number: int) -> Path:
        assert self._place is not None
        names = [name for name in self._file.namelist() if name.startswith(f"folders/{number}/")]
        self._file.extractall(self._place, names)
        folder = self._place / "folders" / str(number)
        folder.mkdir(parents=True, exist_ok=True)  # an empty one
        return folder


def _with_metadata(state: dict[Any, Any], metadata: Any) -> Any:
    from collections import OrderedDict

    ordered: Any = OrderedDict(state)
    ordered._metadata = OrderedDict(metadata)
    return ordered


def _add(file: zipfile.ZipFile, name: str, content: bytes) -> None:
    file.writestr(zipfile.ZipInfo(name), content)  # without the time: the same state, the same bytes


def _saved_array(array: Any) -> bytes:
    import numpy

    buffer = io.BytesIO()
    numpy.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _saved_tensors(tensors: list[Any]) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()

"""MNIST's four files, with headers, lengths and names of all sorts."""

import gzip
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.idx import STEMS, idx
from objectives.data.split import complete_split
from tests.loaders_fuzz.damage import damaged, some_of
from tests.loaders_fuzz.outcome import Outcome

FAULTS = ("damage", "header", "label", "missing", "other size")


@dataclass(frozen=True, kw_only=True)
class IdxCase:
    files: Mapping[str, bytes]
    """By path; contents before they are gzipped."""
    gzipped: frozenset[str]
    fold: int
    plain: bool
    """Whether the files are as the README says, so that they must be read."""


@st.composite
def idx_cases(draw: st.DrawFn) -> IdxCase:
    """Four files, with at most two faults."""
    faults = some_of(draw, FAULTS)
    n, n_test = draw(st.integers(10, 24)), draw(st.integers(1, 6))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    seed = np.random.default_rng(draw(st.integers(0, 2**16)))
    arrays = [
        seed.integers(0, 256, (n, height, width)),
        np.arange(n) % 2 * draw(st.integers(1, 9)),
        seed.integers(0, 256, (n_test, height + ("other size" in faults), width)),
        np.zeros(n_test),
    ]
    if "label" in faults:
        arrays[1][draw(st.integers(0, n - 1))] = draw(st.integers(10, 255))
    contents = [
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes() for array in arrays
    ]
    hit = draw(st.integers(0, 3))
    if "header" in faults:
        head = bytearray(contents[hit][:16])
        head[draw(st.integers(0, len(head) - 1))] = draw(st.integers(0, 255))
        contents[hit] = bytes(head) + contents[hit][16:]
    if "damage" in faults:
        contents[hit] = damaged(draw, contents[hit])
    folder = draw(st.sampled_from(["", "raw/", "MNIST/raw/"]))
    files, gzipped = {}, set()
    for stem, content in zip(STEMS, contents, strict=True):
        name = stem.replace("-idx", draw(st.sampled_from(["-idx", ".idx"])))
        own = f"{stem}/" if draw(st.integers(0, 5)) == 0 else ""
        path = f"{folder}{own}{name}{draw(st.sampled_from(['', '.gz']))}"
        files[path] = content
        if draw(st.booleans()):
            gzipped.add(path)
    if "missing" in faults:
        del files[list(files)[hit]]
    return IdxCase(files=files, gzipped=frozenset(gzipped), fold=draw(st.integers(0, 4)), plain=not faults)


def check_idx(case: IdxCase, folder: Path) -> Outcome:
    """Raises AssertionError when the files are read as something else than they say, or refused without need."""
    for name, content in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, compresslevel=1) if name in case.gzipped else content)
    try:
        sets = idx(folder, case.fold)
    except DataProblem as problem:
        if case.plain:
            raise AssertionError("refused without need") from problem
        return "refused"
    _check_sets(sets, [_array(content) for content in case.files.values()], case.fold)
    return "read"


def _array(content: bytes) -> np.ndarray:
    """The bytes behind a header, in the shape that it says; they must be just as many."""
    kind, n_dimensions = struct.unpack(">HBB", content[:4])[1:]
    shape = struct.unpack(f">{n_dimensions}I", content[4 : 4 + 4 * n_dimensions])
    assert (kind, len(content)) == (8, 4 + 4 * n_dimensions + prod(shape))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)


def _check_sets(sets: Sets, arrays: list[np.ndarray], fold: int) -> None:
    pixels = np.concatenate([arrays[0], arrays[2]])[:, None]
    labels = np.concatenate([arrays[1], arrays[3]]).astype(np.int64)
    split = complete_split(labels, fold, n_validation=0, n_test=len(arrays[3]))
    seen = pixels[split.training].astype(np.float64)
    deviation = seen.std() or np.inf
    for part, rows in zip((sets.training, sets.validation, sets.test), split, strict=True):
        np.testing.assert_allclose(part.inputs, (pixels[rows] - seen.mean()) / deviation, rtol=1e-3, atol=1e-4)
        assert part.targets.tolist() == labels[rows].tolist()

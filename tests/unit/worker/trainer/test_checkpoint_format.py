"""Checkpoints as bytes: what goes in comes out, what is damaged or dangerous is refused, and files are whole or not there."""

import hashlib
import io
import math
import os
import pickle
import resource
import stat
import subprocess
import sys
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load
from torch import nn

from service.domain.checkpoint import Checkpoint, Kind
from service.worker.trainer.checkpoint_format import (
    BadCheckpoint,
    UnreachableCheckpoint,
    check_usable,
    decode,
    encode,
    encode_model,
    keep,
    read,
)
from service.worker.trainer.messages import CheckpointPlace

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


def place(folder: Path | None, max_bytes: int = 1_000) -> CheckpointPlace:
    return CheckpointPlace(folder=None if folder is None else str(folder), name="job/0-1", max_bytes=max_bytes)


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


# What goes in comes out.


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(), plain_values, max_size=4))
def test_a_state_of_plain_values_is_read_back_with_every_value_and_type(state: dict[str, Any]) -> None:
    assert repr(decode(encode(state))) == repr(state)


def test_a_state_of_plain_values_is_json_and_needs_no_torch() -> None:
    script = (
        "import sys; from service.worker.trainer.checkpoint_format import *;"
        "assert decode(encode({'done': 3, 'best': float('inf'), 'curve': [0.1, -0.0]}))['done'] == 3;"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_state_with_tensors_is_read_back_bit_for_bit() -> None:
    tensors = {
        "double": torch.tensor([0.1, math.nan, -math.inf, 5e-324], dtype=torch.float64),
        "half": torch.randn(3).bfloat16(),
        "generator": torch.Generator().get_state(),
        "part": torch.arange(10)[2:5],
        "empty": torch.empty(0, 3),
    }
    state = {"tensors": OrderedDict(tensors), "position": (1, {2: [True, None]}), "loss": math.nan}
    found = decode(encode(state))
    assert repr({**found, "tensors": None}) == repr({**state, "tensors": None})
    for name, tensor in tensors.items():
        assert found["tensors"][name].dtype == tensor.dtype
        assert found["tensors"][name].shape == tensor.shape
        assert torch.equal(found["tensors"][name].view(torch.uint8), tensor.view(torch.uint8)), name


@pytest.mark.parametrize("code", [code for code in np.typecodes["All"] if code not in "OV"])
def test_numpys_arrays_and_scalars_are_read_back_with_every_type(code: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(code) if code not in "mM" else np.arange(6).reshape(2, 3).astype(f"{code}8[s]")
    found = decode(encode({"array": array, "transposed": array.T, "scalar": array[1, 2], "empty": array[:0]}))
    for name, stored in {"array": array, "transposed": array.T, "scalar": array[1, 2], "empty": array[:0]}.items():
        assert isinstance(found[name], np.ndarray) == isinstance(stored, np.ndarray)
        assert found[name].dtype == stored.dtype
        assert np.array_equal(found[name], stored)


def test_numpys_generators_are_kept_by_their_states() -> None:
    for generator in (np.random.default_rng(3), np.random.Generator(np.random.MT19937(3))):
        state = generator.bit_generator.state
        drawn = generator.random(4)
        generator.bit_generator.state = decode(encode({"generator": state}))["generator"]
        assert np.array_equal(generator.random(4), drawn)


# What is refused.


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._file),)


def torch_saved(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("pack", [torch_saved, pickle.dumps], ids=["torch", "pickle"])
def test_what_would_run_code_is_refused_and_not_run(tmp_path: Path, pack: Callable[[Any], bytes]) -> None:
    content = pack({"model": {"weight": torch.ones(2)}, "bomb": Bomb(tmp_path / "ran")})
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        decode(content)
    assert not (tmp_path / "ran").exists()


def test_a_bomb_in_a_checkpoint_whose_sha256_is_right_is_refused_too(tmp_path: Path) -> None:
    content = torch_saved({"bomb": Bomb(tmp_path / "ran")})
    checkpoint = keep(content, Kind.STATE, 1, place(tmp_path, 10_000))
    with pytest.raises(BadCheckpoint):
        read(checkpoint, str(tmp_path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"x": Path("x")}, r"state_dict\(\)\['x'\] is a value of type pathlib\.(_local\.)?PosixPath"),
        (
            {"model": {"a": torch.ones(1), "b": [1, BadCheckpoint("x")]}},
            r"state_dict\(\)\['model'\]\['b'\]\[1\] is a value of type ",
        ),
        ({"x": np.random.default_rng(0)}, r"\['x'\] is a value of type numpy\.random\._generator\.Generator"),
        ({"x": np.array([Path("x")])}, r"\['x'\] is a value of type numpy\.ndarray"),
        ({"x": defaultdict(list, {"a": [torch.ones(1)]})}, r"\(\)\['x'\] is a value of type collections\.defaultdict: a check"),
        ({"x": UserDict({"a": 1})}, r"\(\)\['x'\] is a value of type collections\.UserDict: a check"),
    ],
    ids=["path", "object", "generator", "array of objects", "mapping", "mapping that is no dictionary"],
)
def test_a_state_that_cannot_be_loaded_back_without_pickle_is_refused_with_its_place(state: dict[str, Any], said: str) -> None:
    content = encode(state)
    with pytest.raises(BadCheckpoint, match=said):
        check_usable(state, content, set())
    with pytest.raises(BadCheckpoint):
        decode(content)


def test_a_state_that_cannot_even_be_stored_is_refused_with_its_place() -> None:
    with pytest.raises(
        BadCheckpoint, match=r"state_dict\(\)\['next'\]\[1\] is a value of type function: a checkpoint holds tensors"
    ):
        encode({"at": 3, "next": (1, lambda: 2)})


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({}, "is empty: it must hold what the run needs"),
        (None, "is None: it must be"),
        ([1], "is a value of type list: it must be"),
    ],
)
def test_a_state_that_nothing_can_resume_from_is_refused(state: Any, said: str) -> None:
    with pytest.raises(BadCheckpoint, match=said):
        check_usable(state, encode(state), set())


@pytest.mark.parametrize(
    "value", [Path("x"), [Path("x")], {Path("x")}, np.array([Path("x")]), defaultdict(list), {0.5: 1, "a": Path("x")}]
)
def test_a_value_that_only_later_states_hold_is_refused_too(value: Any) -> None:
    """A best epoch's path, None at first, is noticed when it comes, and not when the trial has to resume."""
    readable = set[type]()
    for state in ({"step": 1, "best": None}, {"step": 2, "best": np.array([None, 0.5])}, {"step": 3, "best": None}):
        check_usable(state, encode(state), readable)
    later = {"step": 4, "best": value}
    for _ in range(2):  # a refusal makes nothing readable
        with pytest.raises(BadCheckpoint, match=r"state_dict\(\)\['best'\]"):
            check_usable(later, encode(later), readable)


def test_a_state_is_read_back_again_only_for_types_that_are_new() -> None:
    readable = set[type]()
    state = {"step": 1, "weights": torch.ones(3)}
    check_usable(state, encode(state), readable)
    check_usable(state, b"not read", readable)
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        check_usable({**state, "best": 0.5}, b"not read", readable)
    with pytest.raises(BadCheckpoint, match="is empty"):
        check_usable({}, encode({}), readable)


def test_a_state_that_contains_itself_is_told_in_one_sentence_or_kept() -> None:
    plain: dict[str, Any] = {"step": 1}
    plain["all"] = plain
    with pytest.raises(BadCheckpoint, match="contains itself"):
        encode(plain)
    with_tensor: dict[str, Any] = {"weights": torch.ones(1)}
    with_tensor["all"] = with_tensor
    check_usable(with_tensor, encode(with_tensor), set())
    assert decode(encode(with_tensor))["all"]["all"]["weights"] == 1


def test_a_number_beyond_every_format_is_refused_as_a_state_that_cannot_be_stored() -> None:
    with pytest.raises(BadCheckpoint, match=r"state_dict\(\)\['step'\] is a value of type int"):
        encode({"step": 10**5000})


def test_a_checkpoint_of_before_that_holds_more_names_it_and_no_way_to_run_its_code() -> None:
    with pytest.raises(BadCheckpoint) as refused:
        decode(torch_saved({"x": defaultdict(list)}))
    assert str(refused.value).startswith(
        "it cannot be read: it holds a value of type collections.defaultdict; a checkpoint holds"
    )


@pytest.mark.parametrize("content", [b"", b"{", b"PK\x03\x04", b"\x80\x04.", b"\0" * 100, torch_saved({"x": 1})[:-20]])
def test_what_is_no_checkpoint_is_refused_with_one_line(content: bytes) -> None:
    with pytest.raises(BadCheckpoint) as refused:
        decode(content)
    assert "\n" not in str(refused.value)


@pytest.fixture(params=["database", "folder"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Checkpoint, str | None]:
    """A whole checkpoint, and its folder."""
    folder = tmp_path if request.param == "folder" else None
    checkpoint = keep(encode({"done": 3}), Kind.STATE, 3, place(folder))
    assert read(checkpoint, folder and str(folder)) == {"done": 3}
    return checkpoint, folder and str(folder)


def damaged(checkpoint: Checkpoint, folder: str | None, damage: Callable[[bytes], bytes]) -> Checkpoint:
    if folder is None:
        return replace(checkpoint, content=damage(checkpoint.content or b""))
    file = Path(folder) / str(checkpoint.path)
    file.write_bytes(damage(file.read_bytes()))
    return checkpoint


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b"3", b"4"),
        lambda content: content[:-1],
        lambda content: content + b" ",
        lambda content: b"",
        lambda content: bytes(len(content)),
    ],
    ids=["another value", "truncated", "longer", "empty", "zeros"],
)
def test_a_checkpoint_that_is_not_what_was_written_is_refused(
    kept: tuple[Checkpoint, str | None], damage: Callable[[bytes], bytes]
) -> None:
    checkpoint, folder = kept
    with pytest.raises(BadCheckpoint, match="damaged"):
        read(damaged(checkpoint, folder, damage), folder)


def test_a_checkpoint_whose_file_is_gone_or_out_of_reach_is_refused(tmp_path: Path) -> None:
    checkpoint = keep(b"{}", Kind.STATE, 1, place(tmp_path))
    with pytest.raises(UnreachableCheckpoint, match="STRIDE_CHECKPOINT_DIR is not set"):
        read(checkpoint, None)
    with pytest.raises(UnreachableCheckpoint, match="cannot be read"):
        read(checkpoint, str(tmp_path / "elsewhere"))
    (tmp_path / str(checkpoint.path)).unlink()
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        read(checkpoint, str(tmp_path))


def test_one_too_large_for_the_database_names_the_settings() -> None:
    with pytest.raises(BadCheckpoint, match="1,001 bytes are more than the 1,000 that STRIDE_CHECKPOINT_MAX_BYTES") as refused:
        keep(bytes(1_001), Kind.STATE, 1, place(None))
    assert "STRIDE_CHECKPOINT_DIR" in str(refused.value)
    assert keep(bytes(1_000), Kind.STATE, 1, place(None)).size == 1_000


def test_a_folder_takes_what_is_too_large_for_the_database(tmp_path: Path) -> None:
    assert keep(bytes(5_000), Kind.STATE, 1, place(tmp_path)).size == 5_000


# Files are whole or not there.


def test_a_file_holds_what_its_checkpoint_says_and_nothing_else_lies_beside_it(tmp_path: Path) -> None:
    checkpoint = keep(b"whole", Kind.STATE, 7, place(tmp_path))
    assert files(tmp_path) == [checkpoint.path] == ["job/0-1-7.checkpoint"]
    assert (tmp_path / checkpoint.path).read_bytes() == b"whole"
    assert checkpoint.sha256 == hashlib.sha256(b"whole").digest()


def fail(*arguments: Any, **options: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("at", ["fsync", "rename"])
def test_when_the_disk_fails_no_file_is_left_and_an_old_one_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    old = keep(b"old", Kind.STATE, 1, place(tmp_path))
    monkeypatch.setattr(*{"fsync": (os, "fsync"), "rename": (Path, "rename")}[at], fail)
    for step in (1, 2):
        with pytest.raises(OSError, match="No space"):
            keep(b"new", Kind.STATE, step, place(tmp_path))
    assert files(tmp_path) == [old.path]
    assert read_bytes(tmp_path, old) == b"old"


def test_a_file_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            keep(bytes(100_000), Kind.STATE, 1, place(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == []


def test_the_content_is_on_disk_before_its_name_and_the_name_before_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def sync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def name(old: Path, new: Path) -> Path:
        calls.append("rename")
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", name)
    keep(b"whole", Kind.STATE, 1, place(tmp_path))
    assert calls == ["file", "rename", "folder"]


def read_bytes(folder: Path, checkpoint: Checkpoint) -> bytes:
    return (folder / str(checkpoint.path)).read_bytes()


# Weights to be served.


def test_weights_are_safetensors_that_tell_their_params(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    content = encode_model({"model": model.state_dict(), "epochs_done": 3}, {"params": '{"learning_rate": 0.1}'})
    assert content is not None
    found = load(content)
    assert found.keys() == model.state_dict().keys()
    assert all(torch.equal(found[name], weights) for name, weights in model.state_dict().items())
    (tmp_path / "model.safetensors").write_bytes(content)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"params": '{"learning_rate": 0.1}'}


def test_weights_that_share_memory_or_lie_across_it_are_saved_each_for_itself() -> None:
    weights = torch.arange(6.0).reshape(2, 3)
    content = encode_model({"model": {"embedding": weights, "head": weights, "across": weights.T, "row": weights[0]}}, {})
    assert content is not None
    assert torch.equal(load(content)["across"], weights.T)
    assert torch.equal(load(content)["head"], weights)


@pytest.mark.parametrize("state", [{}, {"model": None}, {"model": {}}, {"model": {"x": 1.0}}, {"model": [torch.ones(1)]}])
def test_a_state_without_weights_has_no_model(state: dict[str, Any]) -> None:
    assert encode_model(state, {}) is None


def test_a_model_is_named_so_that_people_know_what_it_is(tmp_path: Path) -> None:
    assert keep(b"x", Kind.MODEL, 4, place(tmp_path)).path == "job/0-1-4.safetensors"

"""What scripts save comes back as it was, and what cannot is named."""

import json
import math
import random
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stride import generators, states
from stride.states import BadState, decode, encode

PLAIN: dict[str, Any] = {
    "numbers": [0, -1, 2**200, 0.1, 1e-300, math.inf],
    "words": ["", "ä\ud800", {"nested": {"deep": (1, (2, [3]))}}],
    "others": [None, True, b"\0\xff", (), [], {}],
    "integer keys": {0: "a", -1: "b", (1, "x"): "c", None: "d"},
    "like ours": {"tensor": 0, "list": [1], "dict": {}},
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_come_back_equal_and_of_the_same_types(name: str) -> None:
    found = decode(encode(PLAIN[name]))
    assert found == PLAIN[name]
    assert repr(found) == repr(PLAIN[name])


def test_nan_comes_back() -> None:
    assert math.isnan(decode(encode({"loss": math.nan}))["loss"])


@pytest.mark.parametrize("dtype", [*np.typecodes["AllInteger"], *np.typecodes["AllFloat"], "?", "U5", "M8[s]"])
def test_arrays_and_scalars_come_back_with_their_types(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    for value in (array, array.T, array[:0], array[0, 1], np.zeros((), dtype)):
        found = decode(encode([value]))[0]
        assert isinstance(found, np.ndarray) == isinstance(value, np.ndarray)
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        assert np.array_equal(found, value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_tensors_come_back(dtype: torch.dtype) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    for value in (tensor, tensor.T, tensor[:0], torch.nn.Parameter(torch.ones(2))):
        found = decode(encode({"t": value}))["t"]
        assert (found.dtype, found.shape) == (value.dtype, value.shape)
        assert torch.equal(found, value.detach())


def test_a_module_and_its_optimizer_go_on_from_what_comes_back() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.randn(8, 3)).sum().backward()
    optimizer.step()
    found = decode(encode({"model": model.state_dict(), "optimizer": optimizer.state_dict()}))
    assert isinstance(found["model"], OrderedDict)
    assert found["model"]._metadata == model.state_dict()._metadata  # type: ignore[attr-defined]
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    other.load_state_dict(found["model"])
    again = torch.optim.AdamW(other.parameters(), lr=0.1)
    again.load_state_dict(found["optimizer"])
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), other.parameters(), strict=True))
    assert again.state_dict()["state"][0]["step"] == 1


def test_folders_come_back_with_all_their_files(tmp_path: Path) -> None:
    (tmp_path / "kept" / "deep").mkdir(parents=True)
    (tmp_path / "kept" / "deep" / "weights.bin").write_bytes(b"\0" * 1000)
    (tmp_path / "empty").mkdir()
    content = encode({"at": tmp_path / "kept", "nothing": tmp_path / "empty"})
    found = decode(content, tmp_path / "back")
    assert [path.relative_to(found["at"]).as_posix() for path in found["at"].rglob("*")] == ["deep", "deep/weights.bin"]
    assert (found["at"] / "deep" / "weights.bin").read_bytes() == b"\0" * 1000
    assert list(found["nothing"].iterdir()) == []


def test_one_entry_may_be_read_by_itself() -> None:
    content = encode({"model": {"w": torch.ones(1)}, "step": 3})
    assert decode(content, only="step") == 3
    assert decode(content, only="model")["w"].item() == 1
    assert decode(content, only="absent") is None


def test_the_same_state_has_the_same_bytes() -> None:
    state = {"a": np.ones(3), "b": (1, 2)}
    assert encode(state) == encode(state)


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": [1, Odd()]}, "state['a'][1] is a value of type tests.unit.stride.test_states.Odd: a state holds tensors"),
        ({"s": {1, 2}}, "state['s'] is a value of type set: a state holds"),
        ({"f": len}, "state['f'] is a value of type builtin_function_or_method: a state holds"),
        ({"o": np.array([Odd()])}, "state['o'] is an array of object, which cannot be stored"),
        ({Odd: 1}, "a key of state is a value of type type: a state holds"),
        ({"p": Path("/nowhere/at/all")}, "state['p'] is the path /nowhere/at/all, which is no folder"),
    ],
)
def test_what_cannot_be_stored_is_named(value: Any, says: str) -> None:
    with pytest.raises(BadState) as raised:
        encode(value)
    assert str(raised.value).startswith(says)


def test_a_state_that_holds_itself_is_refused() -> None:
    state: dict[str, Any] = {}
    state["self"] = state
    with pytest.raises(BadState, match="nested too deeply, or holds itself"):
        encode(state)


def test_a_file_that_would_run_code_is_not_read(tmp_path: Path) -> None:
    import io
    import zipfile

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.mkdir, (tmp_path / "ran",)

    buffer, tensors = io.BytesIO(), io.BytesIO()
    torch.save([Bomb()], tensors)
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("tree.json", json.dumps({"tensor": 0}))
        file.writestr("tensors.pt", tensors.getvalue())
    with pytest.raises(Exception, match="Weights only load failed"):
        decode(buffer.getvalue())
    assert not (tmp_path / "ran").exists()


def test_generators_go_on_where_they_were() -> None:
    def draws() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(1))]

    generators.seed(2**60 + 7)
    kept = states.decode(states.encode(generators.state()))
    first = draws()
    assert draws() != first
    generators.restore(kept)
    assert draws() == first
    generators.seed(2**60 + 7)
    assert draws() == first

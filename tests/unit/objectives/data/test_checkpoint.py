import os
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from objectives.contract import DataProblem
from objectives.data.checkpoint import checkpoint

WEIGHTS = OrderedDict({"0.weight": torch.linspace(-1, 1, 6).view(2, 3), "0.bias": torch.zeros(2)})


class Harmful:
    def __reduce__(self) -> Any:
        return os.system, ("touch harmed",)


def saved(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


def assert_read(path: Path) -> None:
    source, weights = checkpoint(str(path))
    assert source == str(path)
    assert set(weights) == set(WEIGHTS)
    assert all(torch.equal(weights[name], value) for name, value in WEIGHTS.items())


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3},
        {"model": WEIGHTS, "optimizer": {"state": {}}},
        {f"module.{name}": value for name, value in WEIGHTS.items()},
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_weights_are_read_as_torch_saves_them_alone_or_beside_other_things(content: Any, is_zip: bool, tmp_path: Path) -> None:
    assert_read(saved(tmp_path / "weights.pt", content, _use_new_zipfile_serialization=is_zip))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.bin"])
def test_safetensors_are_read_whatever_their_file_is_called(name: str, tmp_path: Path) -> None:
    save_file(dict(WEIGHTS), tmp_path / name)
    assert_read(tmp_path / name)


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pt", {"a": torch.zeros(1)})
    checkpoint(str(path))
    assert_read(saved(path, WEIGHTS))


def refusal(path: Path) -> str:
    with pytest.raises(DataProblem) as caught:
        checkpoint(str(path))
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(str(path)).strip()


def test_an_object_with_code_is_refused_and_its_code_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "holds posix.system, whose loading could run code" in refusal(saved(tmp_path / "harm.pt", {"a": Harmful()}))
    whole = refusal(saved(tmp_path / "whole.pt", nn.Linear(2, 2)))
    assert "holds torch.nn.modules.linear.Linear" in whole
    assert "torch.save(model.state_dict(), path)" in whole
    for content in (pickle.dumps({"a": Harmful()}), pickle.dumps({"a": 1}, protocol=2)):
        (tmp_path / "plain.pkl").write_bytes(content)
        assert refusal(tmp_path / "plain.pkl").startswith("is a pickle that torch.save has not written")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("how", ["zip", "legacy", "safetensors"])
def test_a_truncated_file_is_named(how: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights.{how}"
    if how == "safetensors":
        save_file(dict(WEIGHTS), path)
    else:
        saved(path, WEIGHTS, _use_new_zipfile_serialization=how == "zip")
    path.write_bytes(path.read_bytes()[:-8])
    assert refusal(path).startswith("cannot be read as ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty."),
        (b"epoch,loss\n1,0.5\n", "is no checkpoint: it is neither written by torch.save nor safetensors."),
        ([1, 2], "holds no weights: save"),
        ({}, "holds no weights: save"),
        ({"epoch": 3, "loss": 0.1}, "is no state_dict, since 'epoch' is of the type int: save"),
        ({1: torch.zeros(1)}, "is no state_dict, since 1 is of the type Tensor: save"),
        ({"a": torch.tensor([1.0, float("nan")])}, "holds values that are not finite in a: its training has diverged."),
        ({"a": torch.tensor([1.0, 1e39], dtype=torch.float64)}, "holds values in a that are above the largest 32-bit float."),
        ({"a": torch.zeros(2).to(torch.float8_e4m3fn)}, "holds a as float8_e4m3fn: save it as float32."),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "holds a in a form that is not read: dense tensors of real numbers"),
        ({"a": torch.eye(2).to_sparse()}, "holds a in a form that is not read: dense tensors of real numbers"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_a_sentence(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        saved(path, content)
    assert refusal(path).startswith(message)


def test_a_setting_that_names_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="checkpoint is not set"):
        checkpoint(None)
    with pytest.raises(DataProblem, match="is not there"):
        checkpoint(str(tmp_path / "nothing.pt"))
    with pytest.raises(DataProblem, match=re.escape(f"{tmp_path} is not a file")):
        checkpoint(str(tmp_path))

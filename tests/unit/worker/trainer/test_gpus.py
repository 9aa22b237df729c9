"""Which GPU each worker takes."""

import sys
from pathlib import Path

import pytest
import torch

from service.worker.trainer import gpus
from service.worker.trainer.gpus import device_for, gpu_for


def test_workers_take_the_gpus_in_turn() -> None:
    assert [gpu_for(number, 3) for number in range(7)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1", "cuda:2", "cuda:0"]


@pytest.mark.parametrize("first", [0, 3, 254])
def test_eight_workers_share_two_four_or_eight_gpus_evenly(first: int) -> None:
    for count in (2, 4, 8):
        taken = [gpu_for(number, count) for number in range(first, first + 8)]
        assert {taken.count(gpu) for gpu in taken} == {8 // count}
        assert len(set(taken)) == count


def test_without_a_gpu_it_is_the_cpu() -> None:
    assert (gpu_for(5, 0), gpu_for(5, 1)) == ("cpu", "cuda:0")


def test_torch_counts_the_gpus() -> None:
    assert device_for("auto", 5) == gpu_for(5, torch.cuda.device_count())


def test_torch_is_not_imported_where_there_is_no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(gpus, "DRIVERS", (tmp_path / "none",))
    assert (device_for("auto", 5), "torch" in sys.modules) == ("cpu", False)


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_a_device_that_is_named_stays(device: str) -> None:
    assert device_for(device, 3) == device

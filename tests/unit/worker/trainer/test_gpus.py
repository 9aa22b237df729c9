"""Which GPU each worker takes."""

import pytest
import torch

from service.worker.trainer.gpus import device_for, gpu_for


def test_workers_take_the_gpus_in_turn() -> None:
    assert [gpu_for(number, 3) for number in range(7)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1", "cuda:2", "cuda:0"]


@pytest.mark.parametrize("first", [0, 3, 254])
def test_eight_workers_share_two_four_or_eight_gpus_evenly(first: int) -> None:
    for gpus in (2, 4, 8):
        taken = [gpu_for(number, gpus) for number in range(first, first + 8)]
        assert {taken.count(gpu) for gpu in taken} == {8 // gpus}
        assert len(set(taken)) == gpus


@pytest.mark.parametrize("gpus", [0, 1])
def test_without_a_choice_auto_stays(gpus: int) -> None:
    assert gpu_for(5, gpus) is None


def test_torch_counts_the_gpus() -> None:
    assert device_for("auto", 5) == (gpu_for(5, torch.cuda.device_count()) or "auto")


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_a_device_that_is_named_stays(device: str) -> None:
    assert device_for(device, 3) == device

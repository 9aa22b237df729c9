import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from objectives.contract import DataProblem
from objectives.data.cifar import CIFAR10, CIFAR100, cifar10, cifar100
from objectives.data.examples import Sets
from objectives.data.split import N_FOLDS, complete_split

N = 20
"""Images in each file."""
LABELS = np.arange(N) % 4


def pixels_of(n_files: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n_files, N, 3072), dtype=np.uint8)


def write_cifar10(folder: Path) -> Path:
    for name, pixels in zip(CIFAR10.files, pixels_of(6), strict=True):
        np.column_stack([LABELS.astype(np.uint8), pixels]).tofile(folder / name)
    return folder


def write_cifar100(folder: Path) -> Path:
    for name, pixels in zip(CIFAR100.files, pixels_of(2), strict=True):
        np.column_stack([np.full(N, 19, np.uint8), (LABELS + 96).astype(np.uint8), pixels]).tofile(folder / name)
    return folder


def check(data: Sets, pixels: np.ndarray, labels: np.ndarray, fold: int) -> None:
    """Undo the standardization and compare."""
    images = pixels.reshape(-1, 3, 32, 32)
    split = complete_split(labels, fold, n_validation=0, n_test=N)
    seen = images[split.training].astype(np.float64)
    mean, deviation = (f(seen, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    for part, positions in zip((data.training, data.validation, data.test), split, strict=True):
        assert np.array_equal((part.inputs.double().numpy() * deviation + mean).round(), images[positions])
        assert part.targets.tolist() == labels[positions].tolist()


@pytest.mark.parametrize("fold", range(N_FOLDS))
def test_the_binary_version_of_cifar_10_is_read(tmp_path: Path, fold: int) -> None:
    data = cifar10(write_cifar10(tmp_path), fold)
    check(data, pixels_of(6), np.tile(LABELS, 6), fold)
    assert (len(data.training), len(data.validation), len(data.test)) == (80, 20, 20)
    assert (data.input_shape, data.n_classes) == ((3, 32, 32), 10)


@pytest.mark.parametrize("fold", range(N_FOLDS))
def test_the_fine_labels_of_cifar_100_are_read(tmp_path: Path, fold: int) -> None:
    data = cifar100(write_cifar100(tmp_path), fold)
    check(data, pixels_of(2), np.tile(LABELS + 96, 2), fold)
    assert (data.input_shape, data.n_classes) == ((3, 32, 32), 100)


def test_the_folder_that_an_archive_unpacks_is_found_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    inside = tmp_path / "cifar-10-batches-bin"
    inside.mkdir()
    (write_cifar10(inside) / "batches.meta.txt").touch()
    (tmp_path / "cifar-10-binary.tar.gz").touch()
    sizes = ", ".join(f"{label} {30 if label < 4 else 0}" for label in range(10))
    assert cifar10(tmp_path).notes == (
        f"Read 120 images of 10 classes from {inside}: {sizes}.",
        f"Left out of {inside}: 1 *.txt.",
    )
    (tmp_path / "again").mkdir()
    write_cifar10(tmp_path / "again")
    with pytest.raises(DataProblem, match=f"holds several folders with files of CIFAR-10, {tmp_path / 'again'} and {inside}"):
        cifar10(tmp_path)


def test_results_are_kept_until_a_file_changes(tmp_path: Path) -> None:
    first = cifar100(write_cifar100(tmp_path))
    assert cifar100(tmp_path) is first
    (tmp_path / "test.bin").write_bytes((tmp_path / "test.bin").read_bytes()[:3074])
    assert len(cifar100(tmp_path).test) == 1


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


def without_bin(folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(""))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "test_batch.bin").unlink(), "{} lacks test_batch.bin of CIFAR-10's binary version."),
        (
            lambda folder: [(folder / f"data_batch_{number}.bin").unlink() for number in (2, 3)],
            "{} lacks data_batch_2.bin, data_batch_3.bin of CIFAR-10's binary version.",
        ),
        (
            without_bin,
            "{} holds CIFAR-10's Python version, whose pickles are not opened: its binary version is needed.",
        ),
        (changed("data_batch_2.bin", lambda content: b""), "{}/data_batch_2.bin holds no images."),
        (
            changed("data_batch_2.bin", lambda content: content[:-1]),
            "{}/data_batch_2.bin is truncated or too long: its 61459 bytes are not records of 3073 each.",
        ),
        (
            changed("data_batch_2.bin", lambda content: content[: 3 * 3073] + b"\x0a" + content[3 * 3073 + 1 :]),
            "{}/data_batch_2.bin holds label 10 in record 4; CIFAR-10's labels are 0 to 9.",
        ),
        (
            changed("data_batch_2.bin", lambda content: b"\x09" + content[1:]),
            "Class 9 in {} has too few examples for five folds: 1, where at least 5 are needed.",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(write_cifar10(tmp_path))
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(tmp_path))}$"):
        cifar10(tmp_path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "train.bin").unlink(), "{} lacks train.bin of CIFAR-100's binary version."),
        (
            without_bin,
            "{} holds CIFAR-100's Python version, whose pickles are not opened: its binary version is needed.",
        ),
        (
            changed("test.bin", lambda content: content[:1] + b"\x64" + content[2:]),
            "{}/test.bin holds label 100 in record 1; CIFAR-100's labels are 0 to 99.",
        ),
    ],
)
def test_what_is_wrong_with_cifar_100_is_told(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(write_cifar100(tmp_path))
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(tmp_path))}$"):
        cifar100(tmp_path)

import gzip
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.idx import idx
from objectives.data.split import N_FOLDS, complete_split

GENERATOR = np.random.default_rng(0)
PIXELS, TEST_PIXELS = (GENERATOR.integers(0, 256, (n, 4, 3), dtype=np.uint8) for n in (60, 7))
LABELS, TEST_LABELS = (np.arange(n) % 10 for n in (60, 7))


def as_idx(array: NDArray[np.integer]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write(folder: Path, dot: str = "-", ending: str = "") -> Path:
    for stem, array in {
        "train-images{}idx3-ubyte": PIXELS,
        "train-labels{}idx1-ubyte": LABELS,
        "t10k-images{}idx3-ubyte": TEST_PIXELS,
        "t10k-labels{}idx1-ubyte": TEST_LABELS,
    }.items():
        content = as_idx(array)
        (folder / (stem.format(dot) + ending)).write_bytes(gzip.compress(content) if ending else content)
    return folder


@pytest.mark.parametrize("fold", range(N_FOLDS))
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
def test_what_was_written_is_read(tmp_path: Path, dot: str, ending: str, fold: int) -> None:
    data = idx(write(tmp_path, dot, ending), fold)
    pixels, labels = np.concatenate([PIXELS, TEST_PIXELS])[:, None], np.concatenate([LABELS, TEST_LABELS])
    split = complete_split(labels, fold, n_validation=0, n_test=7)
    seen = pixels[split.training].astype(np.float64)
    for part, positions in zip((data.training, data.validation, data.test), split, strict=True):
        back = part.inputs.double().numpy() * seen.std() + seen.mean()
        assert np.array_equal(back.round(), pixels[positions])
        assert part.targets.tolist() == labels[positions].tolist()
    assert data.test.targets.tolist() == TEST_LABELS.tolist()
    assert (data.input_shape, data.n_classes) == ((1, 4, 3), 10)


def place(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def in_own_folders(folder: Path) -> Path:
    """As Kaggle unpacks them."""
    for path in list(write(place(folder / "files")).iterdir()):
        path.rename(place(folder / path.name) / path.name)
    (folder / "files").rmdir()
    return folder


@pytest.mark.parametrize(
    "unpack",
    [
        lambda folder: write(place(folder / "MNIST" / "raw")),
        in_own_folders,
        lambda folder: write(in_own_folders(folder), "."),
        lambda folder: [write(folder), write(folder, ending=".gz")],
        lambda folder: [write(folder, "."), write(folder, ending=".gz")],
        lambda folder: [path.rename(path.with_suffix("")) for path in write(folder, ending=".gz").iterdir()],
        lambda folder: [path.rename(f"{path}.gz") for path in write(folder).iterdir()],
    ],
    ids=[
        "in a folder below",
        "in own folders",
        "there and here",
        "twice",
        "twice with a dot",
        "gz without .gz",
        ".gz without gz",
    ],
)
def test_files_are_found_as_they_are_commonly_unpacked(tmp_path: Path, unpack: Callable[[Path], object]) -> None:
    unpack(tmp_path)
    data = idx(tmp_path)
    assert data.test.targets.tolist() == TEST_LABELS.tolist()
    assert len(data.training) + len(data.validation) == 60


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    write(tmp_path, ending=".gz")
    (write(tmp_path) / "readme.md").touch()
    (tmp_path / ".DS_Store").touch()
    sizes = ", ".join(f"{label} {6 + (label < 7)}" for label in range(10))
    assert idx(tmp_path).notes == (
        f"Read 67 images of 10 classes from {tmp_path}: {sizes}.",
        f"Left out of {tmp_path}: 4 *.gz, 1 .DS_Store, 1 *.md.",
    )


def test_files_of_two_data_sets_are_not_mixed(tmp_path: Path) -> None:
    first, second = (write(place(tmp_path / name / "raw")) for name in ("FashionMNIST", "MNIST"))
    with pytest.raises(DataProblem, match=f"^{tmp_path} holds several data sets, in {first} and {second}: name one of them.$"):
        idx(tmp_path)
    (first / "t10k-labels-idx1-ubyte").unlink()
    assert (
        idx(tmp_path).notes[1]
        == f"Left out of {tmp_path}: {', '.join(f'1 {name}' for name in ALL if 't10k-labels' not in name)}."
    )
    (second / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataProblem, match=r"raw lacks t10k-labels-idx1-ubyte, "):
        idx(tmp_path)


def test_results_are_kept_until_a_file_changes(tmp_path: Path) -> None:
    first = idx(write(tmp_path))
    assert idx(tmp_path) is first
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(as_idx(TEST_PIXELS[:6]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(as_idx(TEST_LABELS[:6]))
    assert len(idx(tmp_path).test) == 6


ALL = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "train-images-idx3-ubyte", "train-labels-idx1-ubyte")
IMAGES, CLASSES = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


def gzipped(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / IMAGES).read_bytes()
        (folder / IMAGES).unlink()
        (folder / f"{IMAGES}.gz").write_bytes(change(gzip.compress(content)))

    return damage


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda folder: (folder / "t10k-labels-idx1-ubyte").unlink(),
            "{} lacks t10k-labels-idx1-ubyte, plain or with .gz at the end: one of the four files of MNIST's format.",
        ),
        (
            changed(IMAGES, lambda content: as_idx(LABELS)),
            f"{{}}/{IMAGES} begins with the magic number 2049, but idx files of images begin with 2051.",
        ),
        (
            changed(IMAGES, lambda content: content[:9]),
            f"{{}}/{IMAGES} is truncated: it has 9 bytes, fewer than the 16 of its header.",
        ),
        (changed(IMAGES, lambda content: b""), f"{{}}/{IMAGES} is truncated: it has 0 bytes, fewer than the 16 of its header."),
        (
            changed(IMAGES, lambda content: content[:-1]),
            f"{{}}/{IMAGES} is truncated: it has 735 bytes, but its header says 736.",
        ),
        (
            changed(IMAGES, lambda content: content + b"1"),
            f"{{}}/{IMAGES} is too long: it has 737 bytes, but its header says 736.",
        ),
        (
            changed(IMAGES, lambda content: content[:4] + b"\xff" * 12 + content[16:]),
            f"{{}}/{IMAGES} is truncated: it has 736 bytes, but its header says {16 + (2**32 - 1) ** 3}.",
        ),
        (changed(IMAGES, lambda content: as_idx(PIXELS[:0])), f"{{}}/{IMAGES} holds no images."),
        (gzipped(lambda content: content[:-20]), f"{{}}/{IMAGES}.gz is a gzip file that is damaged or truncated."),
        (gzipped(lambda content: content[:3]), f"{{}}/{IMAGES}.gz is a gzip file that is damaged or truncated."),
        (
            gzipped(lambda content: b"no gzip"),
            f"{{}}/{IMAGES}.gz begins with the magic number {int.from_bytes(b'no g', 'big')}, but idx files of images begin with"
            " 2051.",
        ),
        (
            gzipped(lambda content: content[:10] + b"\xff" + content[11:]),
            f"{{}}/{IMAGES}.gz is a gzip file that is damaged or truncated.",
        ),
        (
            changed(CLASSES, lambda content: as_idx(np.where(np.arange(60) == 4, 10, LABELS))),
            f"{{}}/{CLASSES} holds label 10 in record 5; labels are 0 to 9.",
        ),
        (
            changed(CLASSES, lambda content: as_idx(LABELS[:59])),
            f"{{}}/{IMAGES} holds 60 images, but {CLASSES} 59 labels.",
        ),
        (
            changed(IMAGES, lambda content: as_idx(PIXELS[:, :3])),
            f"{{}}/t10k-images-idx3-ubyte holds images of 4x3 pixels, but {IMAGES} of 3x3.",
        ),
        (
            changed(CLASSES, lambda content: as_idx(LABELS * 0 + 3)),
            f"There is one class only in {{}}/{CLASSES}, 3: classification needs two or more.",
        ),
        (
            changed(CLASSES, lambda content: as_idx(np.arange(60) // 7)),
            f"Class 8 in {{}}/{CLASSES} has too few examples for five folds: 4, where at least 5 are needed.",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(write(tmp_path))
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(tmp_path))}$"):
        idx(tmp_path)

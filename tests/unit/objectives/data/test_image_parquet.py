import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from objectives.contract import DataProblem
from objectives.data.image_parquet import image_parquet
from tests.unit.objectives.data.drawing import draw, random_pixels

LABELS = [0, 1, 2] * 5
TRAIN = "train-00000-of-00001.parquet"


def write(
    path: Path, labels: list[Any] = LABELS, *, image: str = "image", label: str = "label", images: list[Any] | None = None
) -> Path:
    """Grey pictures of 8x8, unless others are given."""
    files = [{"bytes": draw(random_pixels(8, 8, seed=row)), "path": f"{row}.png"} for row in range(len(labels))]
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({image: files if images is None else images, label: labels, "id": range(len(labels))}), path)
    return path


def test_one_file_is_read_and_split(tmp_path: Path) -> None:
    data = image_parquet(write(tmp_path / "x.parquet"), image_size=8)
    parts = (data.training, data.validation, data.test)
    assert [part.targets.bincount().tolist() for part in parts] == [[3, 3, 3], [1, 1, 1], [1, 1, 1]]
    assert (data.input_shape, data.n_classes) == ((1, 8, 8), 3)
    images = np.concatenate([part.inputs.numpy() for part in parts])
    labels = np.concatenate([part.targets.numpy() for part in parts])
    for row in range(15):
        (found,) = (k for k in range(15) if np.corrcoef(images[k].ravel(), random_pixels(8, 8, seed=row).ravel())[0, 1] > 0.9999)
        assert labels[found] == LABELS[row]


@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("img", "label"), ("img", "fine_label")])
@pytest.mark.parametrize("folder", [".", "data"])
def test_a_folder_is_read_as_the_hub_has_it(tmp_path: Path, folder: str, image: str, label: str) -> None:
    for shard in range(2):
        write(tmp_path / folder / f"train-0000{shard}-of-00002.parquet", image=image, label=label)
    write(tmp_path / folder / "test-00000-of-00001.parquet", [2, 0, 1], image=image, label=label)
    data = image_parquet(tmp_path, image_size=8)
    assert [len(part) for part in (data.training, data.validation, data.test)] == [24, 6, 3]
    assert data.test.targets.tolist() == [2, 0, 1]


def test_a_given_validation_set_stays_the_validation_set(tmp_path: Path) -> None:
    write(tmp_path / TRAIN)
    write(tmp_path / "validation-00000-of-00001.parquet", [1, 1, 1, 1])
    data = image_parquet(tmp_path, image_size=8)
    assert [len(part) for part in (data.training, data.validation, data.test)] == [12, 4, 3]


def test_results_are_kept_until_a_file_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet")
    first = image_parquet(path, image_size=8)
    assert image_parquet(path, image_size=8) is first
    write(path, LABELS * 2)
    assert image_parquet(path, image_size=8) is not first


NO_FOOTER = "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file"
IMAGE = {"bytes": draw(random_pixels(8, 8)), "path": None}


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (Path.unlink, "{} lacks train-*.parquet: a folder of images in parquet files needs it."),
        (
            lambda path: path.rename(path.parent / "train-00000-of-00003.parquet"),
            "{}/train-00000-of-00003.parquet promises 3 files train-*.parquet, but the folder holds 1.",
        ),
        (lambda path: path.write_bytes(b"no parquet"), f"{{}}/{TRAIN} cannot be read as a parquet file ({NO_FOOTER})."),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-50]),
            f"{{}}/{TRAIN} cannot be read as a parquet file ({NO_FOOTER}).",
        ),
        (
            lambda path: write(path, image="picture"),
            f"{{}}/{TRAIN} lacks a column image or img; its columns are picture, label, id.",
        ),
        (
            lambda path: write(path, label="class"),
            f"{{}}/{TRAIN} lacks a column label or fine_label; its columns are image, class, id.",
        ),
        (
            lambda path: write(path, ["cat"] * 15),
            f"{{}}/{TRAIN}: column 'label' holds string, where an integer is needed.",
        ),
        (
            lambda path: write(path, images=["1.png"] * 15),
            f"{{}}/{TRAIN}: column 'image' holds string, where a struct with binary bytes is needed.",
        ),
        (
            lambda path: write(path, images=[IMAGE, None, *[IMAGE] * 13]),
            f"{{}}/{TRAIN}, row 2: column 'image' holds no bytes of an image.",
        ),
        (
            lambda path: write(path, images=[IMAGE, IMAGE, {"bytes": None, "path": "x.png"}, *[IMAGE] * 12]),
            f"{{}}/{TRAIN}, row 3: column 'image' holds no bytes of an image.",
        ),
        (
            lambda path: write(path, images=[*[IMAGE] * 14, {"bytes": b"no image", "path": "x.png"}]),
            f"{{}}/{TRAIN}, row 15: column 'image' cannot be read as an image: it is none of the image formats that are"
            " read. Convert it to PNG or JPEG, or take it out.",
        ),
        (lambda path: write(path, [0, None, *LABELS[2:]]), f"{{}}/{TRAIN}, row 2: column 'label' is empty."),
        (
            lambda path: write(path, [0, -1, *LABELS[2:]]),
            f"{{}}/{TRAIN}, row 2: label -1 is out of range; a label counts the classes from 0, and there are 15 images.",
        ),
        (
            lambda path: write(path, [0, 15, *LABELS[2:]]),
            f"{{}}/{TRAIN}, row 2: label 15 is out of range; a label counts the classes from 0, and there are 15 images.",
        ),
        (
            lambda path: write(path.parent / "test-00000-of-00001.parquet", [0, 3]),
            "{}/test-00000-of-00001.parquet, row 2: label 3 is out of range; the labels of the training images are 0 to 2.",
        ),
        (lambda path: pq.write_table(pq.read_table(path).slice(0, 0), path), f"{{}}/{TRAIN} holds no rows."),
        (lambda path: write(path, [0] * 15), "There is one class only in {}, 0: classification needs two or more."),
        (
            lambda path: write(path, [0] * 11 + [1] * 4),
            "Class 1 in {} has too few examples for five folds: 4, where at least 5 are needed.",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(write(tmp_path / TRAIN))
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(tmp_path))}$"):
        image_parquet(tmp_path, image_size=8)


def test_classes_that_cannot_be_split_are_told_with_the_one_file(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"^There is one class only in .*/x\.parquet, 0: "):
        image_parquet(write(tmp_path / "x.parquet", [0] * 15), image_size=8)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"x\.parquet cannot be read as a file \(No such file or directory\)\.$"):
        image_parquet(tmp_path / "x.parquet")


def test_what_to_install_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataProblem, match=r"x\.parquet needs pyarrow to be read: pip install 'stride\[data\]'\.$"):
        image_parquet(path)

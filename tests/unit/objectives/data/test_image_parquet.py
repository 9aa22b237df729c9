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


@pytest.mark.parametrize(
    ("training", "validation", "test"),
    [
        ("train-00000-of-00001-1359597a978bc4fa", "valid-00000-of-00001-70d52db3c749a935", "test-00000-of-00001"),
        ("data/train-00000-of-00001", "data/val-00000-of-00001", "data/eval-00000-of-00001"),
        ("training", "dev", "testing"),
        ("my_train_images", "my_validation_images", "my_test_images"),
        ("default/train/0000", "default/validation/0000", "default/test/0000"),
    ],
)
def test_parts_are_told_by_a_word_as_on_the_hub(tmp_path: Path, training: str, validation: str, test: str) -> None:
    for name, labels in ((training, LABELS), (validation, [1, 1, 1, 1]), (test, [2, 0, 1])):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / f"{name}.parquet", labels)
    data = image_parquet(tmp_path, image_size=8)
    assert [len(part) for part in (data.training, data.validation, data.test)] == [15, 4, 3]


def test_files_may_be_counted_from_1(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / f"train-{number}-of-2.parquet")
    assert len(image_parquet(tmp_path, image_size=8).training) == 18


def test_files_without_any_part_in_their_names_are_split(tmp_path: Path) -> None:
    for name in ("0000", "0001"):
        write(tmp_path / f"{name}.parquet")
    data = image_parquet(tmp_path, image_size=8)
    assert [len(part) for part in (data.training, data.validation, data.test)] == [18, 6, 6]


@pytest.mark.parametrize("labels", [[1, 2], [0, 30], [7, 2**63 + 5]])
def test_each_label_of_a_training_image_is_a_class(tmp_path: Path, labels: list[int]) -> None:
    write(tmp_path / TRAIN, pa.array(labels * 5, pa.uint64()))
    write(tmp_path / "test.parquet", [labels[0]] if labels[1] > 2**63 else labels)
    data = image_parquet(tmp_path, image_size=8)
    assert data.n_classes == 2
    assert data.training.targets.bincount().tolist() == [4, 4]
    assert data.test.targets.tolist() == list(range(len(data.test)))


def test_labels_may_be_in_a_column_labels_and_images_plain_binary(tmp_path: Path) -> None:
    images = [draw(random_pixels(8, 8, seed=row)) for row in range(15)]
    assert image_parquet(write(tmp_path / "x.parquet", label="labels", images=images), image_size=8).n_classes == 3


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    write(tmp_path / TRAIN)
    (tmp_path / "README.md").touch()
    (tmp_path / ".cache").mkdir()
    assert image_parquet(tmp_path, image_size=8).notes == (
        f"Read 15 images of 3 classes from {tmp_path}: 0 5, 1 5, 2 5.",
        f"Left out of {tmp_path}: 1 .cache, 1 *.md.",
        "Columns that are not used: id.",
    )


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
        (Path.unlink, "{} lacks train-*.parquet: a folder of parquet files needs it."),
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
            f"{{}}/{TRAIN} lacks a column label or labels or fine_label; its columns are image, class, id.",
        ),
        (
            lambda path: write(path, ["cat"] * 15),
            f"{{}}/{TRAIN}: column 'label' holds string, where an integer is needed.",
        ),
        (
            lambda path: write(path, images=["1.png"] * 15),
            f"{{}}/{TRAIN}: column 'image' holds string, where binary, or a struct with binary bytes, is needed.",
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
            f"{{}}/{TRAIN}, row 2: label -1 is negative, which marks an image without a label: take such rows out.",
        ),
        (
            lambda path: write(path, [0, 15, *LABELS[2:]]),
            "Class '15' in {} has too few examples for five folds: 1, where at least 5 are needed.",
        ),
        (
            lambda path: [
                path.rename(path.parent / "train-00000-of-00002-0a1b.parquet"),
                write(path.parent / "train-00000-of-00002-2c3d.parquet"),
            ],
            "{}/train-00000-of-00002-0a1b.parquet promises 2 files, but number 1 of them is missing.",
        ),
        (
            lambda path: path.rename(path.parent / "train-00000-of-00002-1359597a978bc4fa.parquet"),
            "{}/train-00000-of-00002-1359597a978bc4fa.parquet promises 2 files train-*.parquet, but the folder holds 1.",
        ),
        (
            lambda path: write(path.parent / "unsupervised-00000-of-00001.parquet"),
            "{}/unsupervised-00000-of-00001.parquet belongs to no part of the data: its name must have a word for it (training:"
            " train, training; validation: validation, valid, val, dev; test: test, testing, eval, evaluation).",
        ),
        (
            lambda path: [write(path.parent / name) for name in ("val.parquet", "dev.parquet")],
            "{} has files for validation named val and dev: one of these words is expected.",
        ),
        (
            lambda path: write(path.parent / "more" / TRAIN),
            "{0} holds several data sets, in {0} and {0}/more: name one of them.",
        ),
        (
            lambda path: pq.write_table(pa.table([LABELS, LABELS, LABELS], names=["image", "label", "label"]), path),
            f"{{}}/{TRAIN} has two columns 'label', but names must be unique.",
        ),
        (
            lambda path: write(path, pa.array([2**64 - 1, *LABELS[1:]], pa.uint64())),
            "Class '18446744073709551615' in {} has too few examples for five folds: 1, where at least 5 are needed.",
        ),
        (
            lambda path: write(path.parent / "test-00000-of-00001.parquet", [0, 3]),
            "{}/test-00000-of-00001.parquet, row 2: label 3 is none of the labels of the training images: 0, 1, 2.",
        ),
        (lambda path: pq.write_table(pq.read_table(path).slice(0, 0), path), f"{{}}/{TRAIN} holds no rows."),
        (lambda path: write(path, [0] * 15), "There is one class only in {}, '0': classification needs two or more."),
        (
            lambda path: write(path, [0] * 11 + [1] * 4),
            "Class '1' in {} has too few examples for five folds: 4, where at least 5 are needed.",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(write(tmp_path / TRAIN))
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(tmp_path))}$"):
        image_parquet(tmp_path, image_size=8)


def test_classes_that_cannot_be_split_are_told_with_the_one_file(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"^There is one class only in .*/x\.parquet, '0': "):
        image_parquet(write(tmp_path / "x.parquet", [0] * 15), image_size=8)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"x\.parquet cannot be read as a file \(No such file or directory\)\.$"):
        image_parquet(tmp_path / "x.parquet")


def test_what_to_install_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataProblem, match=r"x\.parquet needs pyarrow to be read: install it, or Stride with its extra data\.$"):
        image_parquet(path)

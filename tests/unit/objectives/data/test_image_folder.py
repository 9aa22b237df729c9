import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from objectives.contract import DataProblem
from objectives.data.image_folder import ENDINGS, image_folder
from tests.unit.objectives.data.drawing import draw, random_pixels

CLASSES = {"cat": 5, "dog": 10}


def write(folder: Path, classes: dict[str, int] = CLASSES, *, colour: bool = True) -> Path:
    """Pictures of 8x8, each with a number of its own in the upper left pixel."""
    number = 0
    for name, n in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for position in range(n):
            pixels = random_pixels(8, 8, *([3] if colour else []), seed=number)
            (folder / name / f"{position:02}.png").write_bytes(draw(pixels))
            number += 1
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    data = image_folder(write(tmp_path), image_size=8)
    parts = (data.training, data.validation, data.test)
    assert [part.targets.bincount().tolist() for part in parts] == [[3, 6], [1, 2], [1, 2]]
    assert (data.input_shape, data.n_classes) == ((3, 8, 8), 2)
    images = np.concatenate([part.inputs.double().numpy() for part in parts])
    labels = np.concatenate([part.targets.numpy() for part in parts])
    # Standardization keeps the pattern of a channel: each picture is found by it, under its class.
    for number in range(15):
        red = random_pixels(8, 8, 3, seed=number)[:, :, 0].ravel()
        (found,) = (k for k in range(15) if np.corrcoef(images[k, 0].ravel(), red)[0, 1] > 0.9999)
        assert labels[found] == (number >= 5)


def test_grey_pictures_stay_grey_and_one_in_colour_makes_all_so(tmp_path: Path) -> None:
    write(tmp_path, colour=False)
    assert image_folder(tmp_path, image_size=8).input_shape == (1, 8, 8)
    (tmp_path / "cat" / "99.png").write_bytes(draw(random_pixels(8, 8, 3)))
    assert image_folder(tmp_path, image_size=8).input_shape == (3, 8, 8)


def test_pictures_are_resized(tmp_path: Path) -> None:
    assert image_folder(write(tmp_path)).input_shape == (3, 32, 32)


def test_the_fold_chooses_the_test_images(tmp_path: Path) -> None:
    sums = {image_folder(write(tmp_path), fold, 8).test.inputs.sum().item() for fold in range(5)}
    assert len(sums) == 5


@pytest.mark.parametrize("validation", ["validation", "valid", "val"])
def test_given_parts_stay_as_they_are(tmp_path: Path, validation: str) -> None:
    for part, n in (("train", 4), (validation, 3), ("test", 2)):
        write(tmp_path / part, {"cat": n, "dog": n})
    data = image_folder(tmp_path, image_size=8)
    assert [len(part) for part in (data.training, data.validation, data.test)] == [8, 6, 4]


@pytest.mark.parametrize(("given", "sizes"), [("test", [16, 4, 3]), ("val", [16, 3, 4])])
def test_a_part_without_a_folder_is_cut_from_training(tmp_path: Path, given: str, sizes: list[int]) -> None:
    write(tmp_path / "train", {"cat": 10, "dog": 10})
    write(tmp_path / given, {"cat": 3})
    data = image_folder(tmp_path, image_size=8)
    assert [len(part) for part in (data.training, data.validation, data.test)] == sizes
    assert (data.test if given == "test" else data.validation).targets.tolist() == [0, 0, 0]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert image_folder(write(tmp_path, {"plane": 5, "train": 5}), image_size=8).n_classes == 2


def test_other_files_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "cat" / "Thumbs.db").touch()
    (tmp_path / "readme.txt").touch()
    (tmp_path / "cat" / "00.png").rename(tmp_path / "cat" / "00.PNG")
    data = image_folder(tmp_path, image_size=8)
    assert sum(len(part) for part in (data.training, data.validation, data.test)) == 15


def test_results_are_kept_until_a_file_changes(tmp_path: Path) -> None:
    first = image_folder(write(tmp_path), image_size=8)
    assert image_folder(tmp_path, image_size=8) is first
    (tmp_path / "cat" / "00.png").write_bytes(draw(random_pixels(9, 9, 3)))
    assert image_folder(tmp_path, image_size=8) is not first


def with_parts(folder: Path) -> Path:
    shutil.rmtree(folder / "cat")
    shutil.rmtree(folder / "dog")
    write(folder / "train")
    return write(folder / "test")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (shutil.rmtree, "{} cannot be read as a folder (No such file or directory)."),
        (
            lambda folder: [shutil.rmtree(folder / name) for name in CLASSES],
            "{} holds no folders: one for each class is needed, with its images.",
        ),
        (lambda folder: (folder / "bird").mkdir(), f"{{}}/bird holds no images, files ending in {', '.join(ENDINGS)}."),
        (
            lambda folder: (folder / "dog" / "03.png").write_bytes(b"no image"),
            "{}/dog/03.png cannot be read as an image (UnidentifiedImageError).",
        ),
        (
            lambda folder: shutil.rmtree(folder / "dog"),
            "There is one class only in {}, 'cat': classification needs two or more.",
        ),
        (
            lambda folder: (folder / "cat" / "00.png").unlink(),
            "Class 'cat' in {} has too few examples for five folds: 4, where at least 5 are needed.",
        ),
        (
            lambda folder: write(with_parts(folder), {"bird": 1}),
            "{}/test/bird is not one of the training classes (cat, dog).",
        ),
        (
            lambda folder: (with_parts(folder).parent / "Testing").mkdir(),
            "{} holds Testing beside train, where only one validation folder and test are expected.",
        ),
        (
            lambda folder: [(with_parts(folder).parent / "valid").mkdir(), (folder / "val").mkdir()],
            "{} holds val beside train, where only one validation folder and test are expected.",
        ),
        (
            lambda folder: (with_parts(folder).parent / "val").mkdir(),
            "{}/val holds no folders: one for each class is needed, with its images.",
        ),
        (
            lambda folder: [with_parts(folder), shutil.rmtree(folder / "train"), (folder / "train").mkdir()],
            "{}/train holds no folders: one for each class is needed, with its images.",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    folder = write(tmp_path / "images")
    damage(folder)
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence.format(folder))}$"):
        image_folder(folder, image_size=8)

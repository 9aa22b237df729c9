import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.image_folder import NO_IMAGES, image_folder
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
    (tmp_path / "dog" / "labels.txt").touch()
    (tmp_path / "dog" / "00.TXT").touch()
    data = image_folder(tmp_path, image_size=8)
    assert n_images(data) == 15
    assert data.notes == (
        f"Read 15 images of 2 classes from {tmp_path}: cat 5, dog 10.",
        f"Left out of {tmp_path}: 3 *.txt, 1 .cache, 1 *.db.",
    )


@pytest.mark.parametrize("name", [".thumbnails", "@eaDir", "__MACOSX"])
def test_copies_that_a_system_makes_are_no_images(tmp_path: Path, name: str) -> None:
    data = image_folder(write(tmp_path, {"cat": 5, "dog": 10, f"cat/{name}": 3, name: 5}), image_size=8)
    assert n_images(data) == 15
    assert data.notes[1] == f"Left out of {tmp_path}: 2 {name}."


@pytest.mark.parametrize("layout", ["{}", "train/{}", "data/train/{}", "unpacked/data/{}"])
def test_the_folder_that_an_archive_unpacks_is_found(tmp_path: Path, layout: str) -> None:
    write(tmp_path, {layout.format(name): n for name, n in CLASSES.items()})
    data = image_folder(tmp_path, image_size=8)
    assert (n_images(data), data.n_classes) == (15, 2)


def test_classes_may_have_words_of_parts_in_their_names(tmp_path: Path) -> None:
    assert image_folder(write(tmp_path, {"train_station": 5, "valley": 5, "testudo": 5}), image_size=8).n_classes == 3


@pytest.mark.parametrize("ending", NO_IMAGES)
def test_endings_of_annotations_are_no_images(tmp_path: Path, ending: str) -> None:
    (write(tmp_path) / "cat" / f"00{ending}").touch()
    assert image_folder(tmp_path, image_size=8).notes[1:] == (f"Left out of {tmp_path}: 1 *{ending}.",)


def n_images(data: Sets) -> int:
    return sum(len(part) for part in (data.training, data.validation, data.test))


def test_folders_in_a_class_belong_to_it(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, {"cat/images": 7, "dog/images": 1, "dog/more/and more": 2})
    data = image_folder(tmp_path, image_size=8)
    assert data.notes == (f"Read 25 images of 2 classes from {tmp_path}: cat 12, dog 13.",)
    assert n_images(data) == 25


def test_the_images_of_a_class_may_all_lie_in_folders(tmp_path: Path) -> None:
    """As in Tiny ImageNet."""
    data = image_folder(write(tmp_path, {"train/cat/images": 7, "train/dog/images": 8, "test/cat": 2}), image_size=8)
    assert (n_images(data), len(data.test)) == (17, 2)


@pytest.mark.parametrize(
    "ending", [".jfif", ".JPE", ".apng", ".tga", ".jp2", ".avif", ".pnm", ".pbm", ".ico", "", ".1", ".jpg_large"]
)
def test_an_image_is_known_by_what_it_holds(tmp_path: Path, ending: str) -> None:
    formats = {".tga": "TGA", ".jp2": "JPEG2000", ".avif": "AVIF", ".pnm": "PPM", ".pbm": "PPM", ".ico": "ICO"}
    content = draw(random_pixels(16, 16), formats.get(ending, "PNG"))
    (write(tmp_path) / "cat" / f"another{ending}").write_bytes(content)
    assert n_images(image_folder(tmp_path, image_size=8)) == 16


@pytest.mark.parametrize(("training", "validation", "test"), [("Train", "VAL", "Test"), ("training", "Validation", "testing")])
def test_parts_may_be_written_otherwise(tmp_path: Path, training: str, validation: str, test: str) -> None:
    for part, n in ((training, 4), (validation, 3), (test, 2)):
        write(tmp_path / part, {"cat": n, "dog": n})
    data = image_folder(tmp_path, image_size=8)
    assert [len(part) for part in (data.training, data.validation, data.test)] == [8, 6, 4]


def test_what_of_images_is_not_used_is_told(tmp_path: Path) -> None:
    frames = [Image.fromarray(random_pixels(8, 8, seed=seed)) for seed in range(3)]
    frames[0].save(write(tmp_path) / "cat" / "film.gif", save_all=True, append_images=frames[1:])
    assert image_folder(tmp_path, image_size=8).notes[1:] == (
        "1 of the images: several pictures in a file, of which the first is used.",
    )


@pytest.mark.parametrize(("bits", "range_"), [(8, 256), (10, 1024), (16, 2**16)])
def test_dark_images_of_16_bits_are_told_apart(tmp_path: Path, bits: int, range_: int) -> None:
    """A bright left half, or a bright right one: what is read must show it, whatever part of the 16 bits is used."""
    for name, half in (("left", slice(0, 4)), ("right", slice(4, 8))):
        (tmp_path / name).mkdir()
        pixels = np.full((8, 8), range_ // 8, dtype=np.uint16)
        pixels[:, half] = range_ - 1
        for number in range(5):
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    data = image_folder(tmp_path, image_size=8)
    seen = data.training.inputs[:, 0, :, 0] - data.training.inputs[:, 0, :, 7]
    assert seen.abs().min() > 1.5
    assert (seen[:, 0] < 0).long().tolist() == data.training.targets.tolist()


def test_results_are_kept_until_a_file_changes(tmp_path: Path) -> None:
    first = image_folder(write(tmp_path), image_size=8)
    assert image_folder(tmp_path, image_size=8) is first
    (tmp_path / "cat" / "00.png").write_bytes(draw(random_pixels(9, 9, 3)))
    assert image_folder(tmp_path, image_size=8) is not first


NAMES = (
    "training images are in train or training; validation images are in validation or valid or val; test images are in test or"
    " testing"
)


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
        (lambda folder: (folder / "bird").mkdir(), "{}/bird holds no images, such as PNG or JPEG files."),
        (
            lambda folder: (folder / "dog" / "03.png").write_bytes(b"no image"),
            "{}/dog/03.png cannot be read as an image: it is none of the image formats that are read. Convert it to PNG or"
            " JPEG, or take it out.",
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
            f"{{}} holds test beside train, where only one validation folder and test are expected: {NAMES}.",
        ),
        (
            lambda folder: [(with_parts(folder).parent / "valid").mkdir(), (folder / "val").mkdir()],
            f"{{}} holds valid beside train, where only one validation folder and test are expected: {NAMES}.",
        ),
        (
            lambda folder: (with_parts(folder).parent / "dev").mkdir(),
            f"{{}} holds dev beside train, where only one validation folder and test are expected: {NAMES}.",
        ),
        (
            lambda folder: (folder / "dog" / "03.png").rename(folder / "03.JPG"),
            "{}/03.JPG is an image outside of the class folders: move it into the folder of its class.",
        ),
        (
            lambda folder: (with_parts(folder) / "cat" / "01.png").rename(folder / "01.png"),
            "{}/01.png is an image outside of the class folders: move it into the folder of its class.",
        ),
        (
            lambda folder: (folder / "dog" / "walk.mp4").write_bytes(b"a film"),
            "{}/dog/walk.mp4 cannot be read as an image: it is none of the image formats that are read. Convert it to PNG or"
            " JPEG, or take it out.",
        ),
        (
            lambda folder: (folder / "dog" / "more").symlink_to(folder / "dog"),
            "{}/dog/more is a symlink to a folder that contains it.",
        ),
        (
            lambda folder: write(folder, {"cat/Train": 3, "dog/Train": 3}),
            f"{{}}/cat/Train is a part of a class, but parts hold the classes: {NAMES}.",
        ),
        *(
            (
                lambda folder, first=first, second=second: write(folder, {f"{first}/cat": 3, f"{second}/cat": 3}),
                f"{{}}: {first} and {second} seem to be parts of the data: {NAMES}.",
            )
            for first, second in (("train_images", "test images"), ("seg_train", "seg_test"), ("trainA", "valB"))
        ),
        (
            lambda folder: [
                write(folder / part) and [shutil.rmtree(folder / name, ignore_errors=True) for name in CLASSES]
                for part in ("morning/all", "evening/all")
            ],
            "{}: evening and morning hold no images but the same folders (cat, dog). If these are the classes, name one"
            f" folder above them in the setting path, or rename those above them: {NAMES}. If they are not, move the images into"
            " the folders of their classes.",
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

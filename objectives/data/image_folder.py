"""Image files in one folder per class; the name of the folder is the name of the class.

The class folders are in the folder itself, or in train/, with optional validation/ (or valid/, val/) and test/ next to it.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file, entries
from objectives.data.pictures import read_picture, stacked
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
VALIDATION = ("validation", "valid", "val")

Labelled = tuple[tuple[DataFile, int], ...]


def image_folder(folder: Path, fold: int = 0, image_size: int = 32) -> Sets:
    """The images as sets of image_size x image_size pixels, in greyscale if all files are, otherwise in colour.

    Validation and test sets without a folder are split off the training images. Files with other extensions are ignored.
    Raises DataProblem when a folder or file is missing or invalid. The last KEPT results are cached until a file changes.
    """
    training, validation, test = _parts(folder)
    classes = tuple(entry.name for entry in _folders_in(training))
    if not classes:
        raise DataProblem(f"{training} holds no folders: one for each class is needed, with its images.")
    parts = (_labelled(part, classes) if part else () for part in (training, validation, test))
    return _load(training, *parts, classes, fold, image_size)


def _parts(folder: Path) -> tuple[Path, Path | None, Path | None]:
    """The folders of the training, validation and test images; None where there is no folder."""
    inside = {entry.name: entry for entry in _folders_in(folder)}
    if "train" not in inside or not (
        _folders_in(inside["train"]) or "test" in inside or not inside.keys().isdisjoint(VALIDATION)
    ):
        return folder, None, None  # "train" may be a class
    validation = next((inside[name] for name in VALIDATION if name in inside), None)
    used = {"train", "test", validation.name if validation else ""}
    if other := [name for name in inside if name not in used]:
        raise DataProblem(f"{folder} holds {other[0]} beside train, where only one validation folder and test are expected.")
    return inside["train"], validation, inside.get("test")


def _folders_in(folder: Path) -> list[Path]:
    return [entry for entry in entries(folder) if entry.is_dir()]


def _labelled(part: Path, classes: tuple[str, ...]) -> Labelled:
    """The image files of all classes with their labels, the positions of their classes in `classes`."""
    labelled: list[tuple[DataFile, int]] = []
    for folder in _folders_in(part):
        if folder.name not in classes:
            raise DataProblem(f"{folder} is not one of the training classes ({', '.join(classes)}).")
        files = [data_file(entry) for entry in entries(folder) if entry.suffix.lower() in ENDINGS]
        if not files:
            raise DataProblem(f"{folder} holds no images, files ending in {', '.join(ENDINGS)}.")
        labelled += [(file, classes.index(folder.name)) for file in files]
    if not labelled:
        raise DataProblem(f"{part} holds no folders: one for each class is needed, with its images.")
    return tuple(labelled)


@lru_cache(maxsize=KEPT)
def _load(
    source: Path,
    training: Labelled,
    validation: Labelled,
    test: Labelled,
    classes: tuple[str, ...],
    fold: int,
    image_size: int,
) -> Sets:
    labelled = (*training, *validation, *test)
    labels = np.array([label for _, label in labelled], dtype=np.int64)
    # Split before reading the images: a problem with the classes should be reported at once, not after minutes.
    split = complete_split(labels, fold, n_validation=len(validation), n_test=len(test), source=source, classes=classes)
    pixels = stacked([read_picture(file.path, file.path, image_size) for file, _ in labelled])
    return image_sets(pixels, labels, split, len(classes))

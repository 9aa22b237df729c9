"""Image files in one folder per class; the name of the folder is the name of the class.

The class folders are in the folder itself, or in train/ (or training/), with optional validation/ (or valid/, val/) and test/ (or
testing/) next to it; capitals do not matter. Images in folders below a class folder belong to the class.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np

from objectives.contract import DataProblem
from objectives.data.examples import Sets
from objectives.data.files import KEPT, DataFile, data_file, entries, files_below, hidden
from objectives.data.notes import contents, counted, left_out, of_images
from objectives.data.pictures import read_picture, stacked
from objectives.data.split import complete_split
from objectives.data.standardize import image_sets

PARTS: Mapping[str, Sequence[str]] = {
    "training": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
"""The names of the folders of each part, in small letters."""
ENDINGS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".ppm"),
    *(".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k", ".ico", ".pcx", ".sgi", ".qoi", ".psd"),
)
"""Of images that lie beside the class folders, where they would belong to no class."""
NO_IMAGES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".md", ".yaml", ".yml", ".ini", ".log", ".db", ".py")
"""Endings of what is expected among images, such as annotations. Any other file in a class folder is read as an image."""

Labelled = tuple[tuple[DataFile, int], ...]


def image_folder(folder: Path, fold: int = 0, image_size: int = 32) -> Sets:
    """The images as sets of image_size x image_size pixels, in greyscale if all files are, otherwise in colour.

    Validation and test sets without a folder are split off the training images. Hidden files and those of NO_IMAGES are left
    out, which the notes of the sets tell. Raises DataProblem when a folder or file is missing or invalid. The last KEPT results
    are cached until a file changes.
    """
    skipped: Counter[str] = Counter()
    folder = _unpacked(folder)
    parts = _parts(folder, skipped)
    classes = tuple(entry.name for entry in _folders_in(parts["training"]))
    if not classes:
        raise DataProblem(f"{parts['training']} holds no folders: one for each class is needed, with its images.")
    training, validation, test = (_labelled(parts[name], classes, skipped) if name in parts else () for name in PARTS)
    labels = np.array([label for _, label in (*training, *validation, *test)], dtype=np.int64)
    notes = (contents(folder, "images", labels, classes), *left_out(folder, skipped))
    return _load(parts["training"], training, validation, test, classes, fold, image_size, notes)


def _unpacked(folder: Path) -> Path:
    """The folder, or what an archive has unpacked into it: the only folder in it, where that holds folders in its turn."""
    inside = _folders_in(folder)
    if len(inside) > 1 or not inside or _is_part(inside[0].name) or not _folders_in(inside[0]):
        return folder
    return _unpacked(inside[0])


def _is_part(name: str) -> bool:
    return any(name.casefold() in names for names in PARTS.values())


def _parts(folder: Path, skipped: Counter[str]) -> dict[str, Path]:
    """The folder of each part. The images of a part without a folder are split off the training images."""
    inside = _folders_in(folder)
    named = {part: [entry for entry in inside if entry.name.casefold() in names] for part, names in PARTS.items()}
    if not named["training"] or not (_folders_in(named["training"][0]) or named["validation"] or named["test"]):
        return {"training": folder}  # "train" may be a class
    found = {part: entries[0] for part, entries in named.items() if entries}
    if other := [entry.name for entry in inside if entry not in found.values()]:
        raise DataProblem(
            f"{folder} holds {other[0]} beside {found['training'].name}, where only one validation folder and test are expected:"
            f" {_known_names()}."
        )
    _skip_files(folder, skipped)
    return found


def _known_names() -> str:
    return "; ".join(f"{part} images are in {' or '.join(names)}" for part, names in PARTS.items())


def _folders_in(folder: Path) -> list[Path]:
    return [entry for entry in entries(folder) if entry.is_dir()]


def _skip_files(folder: Path, skipped: Counter[str]) -> None:
    """Count what lies beside the folders. Raises DataProblem for images, which belong to no class there."""
    skipped.update(map(counted, hidden(folder)))
    for entry in entries(folder):
        if not entry.is_dir():
            if entry.suffix.lower() in ENDINGS:
                raise DataProblem(f"{entry} is an image outside of the class folders: move it into the folder of its class.")
            skipped[counted(entry)] += 1


def _labelled(part: Path, classes: tuple[str, ...], skipped: Counter[str]) -> Labelled:
    """The image files of all classes with their labels, the positions of their classes in `classes`."""
    labelled: list[tuple[DataFile, int]] = []
    by_folder: dict[Path, Sequence[Path]] = {}
    _skip_files(part, skipped)
    for folder in _folders_in(part):
        if folder.name not in classes:
            raise DataProblem(f"{folder} is not one of the training classes ({', '.join(classes)}).")
        found, unseen = files_below(folder)
        images = [entry for entry in found if entry.suffix.lower() not in NO_IMAGES]
        skipped.update(map(counted, [*unseen, *(entry for entry in found if entry.suffix.lower() in NO_IMAGES)]))
        if not images:
            raise DataProblem(f"{folder} holds no images, such as PNG or JPEG files.")
        by_folder[folder] = images
        labelled += [(data_file(image), classes.index(folder.name)) for image in images]
    if not labelled:
        raise DataProblem(f"{part} holds no folders: one for each class is needed, with its images.")
    _check_are_classes(part, by_folder)
    return tuple(labelled)


def _check_are_classes(part: Path, images: Mapping[Path, Sequence[Path]]) -> None:
    """Raise DataProblem where the folders seem to be parts of the data, or to lie above the classes. images: those in each."""
    places = {folder: {image.parent for image in of_class} for folder, of_class in images.items()}
    for folder, inside in places.items():
        first_below = {place.relative_to(folder).parts[0] for place in inside - {folder}}
        if known := sorted(filter(_is_part, first_below)):
            raise DataProblem(f"{folder / known[0]} is a part of a class, but parts hold the classes: {_known_names()}.")
    by_part = {name: [folder.name for folder in images if _has_word(folder.name, PARTS[name])] for name in PARTS}
    if by_part["training"] and (others := by_part["validation"] + by_part["test"]):
        raise DataProblem(f"{part}: {by_part['training'][0]} and {others[0]} seem to be parts of the data: {_known_names()}.")
    above = {folder: {place.name for place in inside} for folder, inside in places.items() if folder not in inside}
    for first, second in combinations([folder for folder, names in above.items() if len(names) > 1], 2):
        if len(common := sorted(above[first] & above[second])) > 1:
            raise DataProblem(
                f"{part}: {first.name} and {second.name} hold no images but the same folders ({', '.join(common[:5])}). If these"
                f" are the classes, name one folder above them in the setting path, or rename those above them: {_known_names()}."
                " If they are not, move the images into the folders of their classes."
            )


def _has_word(name: str, words: Sequence[str]) -> bool:
    return any(word.lower() in words for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name))


@lru_cache(maxsize=KEPT)
def _load(
    source: Path,
    training: Labelled,
    validation: Labelled,
    test: Labelled,
    classes: tuple[str, ...],
    fold: int,
    image_size: int,
    notes: tuple[str, ...],
) -> Sets:
    labelled = (*training, *validation, *test)
    labels = np.array([label for _, label in labelled], dtype=np.int64)
    # Split before reading the images: a problem with the classes should be reported at once, not after minutes.
    split = complete_split(labels, fold, n_validation=len(validation), n_test=len(test), source=source, classes=classes)
    remarks: Counter[str] = Counter()
    pixels = stacked([read_picture(file.path, file.path, image_size, remarks) for file, _ in labelled], source)
    return replace(image_sets(pixels, labels, split, len(classes)), notes=(*notes, *of_images(remarks)))

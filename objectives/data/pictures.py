"""Reads image files of any format and size as arrays of one size, with Pillow, which the extra `data` installs."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.files import needs, unreadable

GREY = ("1", "L", "LA", "La")


def read_picture(file: Path | BytesIO, name: object, image_size: int) -> NDArray[np.uint8]:
    """The image, rotated as its EXIF data say and resized to a square: (size, size) if it is greyscale, else (size, size, 3).

    Transparency is dropped; 16-bit pixels are reduced to their upper 8 bits. Raises DataProblem, which names `name`.
    """
    with needs("Pillow", name):
        from PIL import Image, ImageOps
    try:
        with Image.open(file) as opened:
            if opened.mode in ("I", "F"):
                raise DataProblem(f"{name} has 32-bit pixels; images with 8 or 16 bits per channel are needed.")
            picture = ImageOps.exif_transpose(opened)
            if picture.mode.startswith("I;16"):
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            picture = picture.convert("L" if picture.mode in GREY else "RGB")
            return np.asarray(picture.resize((image_size, image_size), Image.Resampling.BILINEAR))
    except DataProblem:
        raise
    except Exception as error:  # Pillow's decoders may raise anything for a damaged file
        raise unreadable(name, "an image", error) from error


def stacked(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """All images as one array (n, channels, size, size): one channel if all are greyscale, otherwise three."""
    n_channels = 1 if all(picture.ndim == 2 for picture in pictures) else 3
    pixels = np.empty((len(pictures), n_channels, *pictures[0].shape[:2]), dtype=np.uint8)
    for position, picture in enumerate(pictures):
        pixels[position] = picture if picture.ndim == 2 else picture.transpose(2, 0, 1)
    return pixels

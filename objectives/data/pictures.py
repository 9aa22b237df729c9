"""Reads image files of any format and size as arrays of one size, with Pillow, which the extra `data` installs."""

import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.contract import DataProblem
from objectives.data.files import needs, unreadable
from objectives.data.png import without_metadata

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""One image, (size, size) in greyscale or (size, size, 3), with the number of bits that its file has."""

FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA", "TIFF"),
    *("WEBP", "XBM", "XPM"),
)
"""Those of Pillow's formats that hold pixels. EPS is left out on purpose: Pillow would start Ghostscript, which runs programs."""
GREY = ("1", "L", "LA", "La")
ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is turned, from 1 to 8."""
MORE = "several pictures in a file, of which the first is used"
NOT_TURNED = "damaged EXIF or other data about the picture, so that it is not turned"
TO_DO = "Convert it to PNG or JPEG, or take it out."
BRIGHT = 2**15
"""Images of 16 bits that use their range have pixels at least as bright."""


def read_picture(file: Path | BytesIO, name: object, image_size: int, remarks: Counter[str] | None = None) -> Pixels:
    """The image, rotated as its EXIF data say and resized to a square: (size, size) if it is greyscale, else (size, size, 3).

    Transparency is dropped. What of the file is not used is counted in `remarks`, by a sentence about it. Raises DataProblem,
    which names `name`.
    """
    remarks = Counter() if remarks is None else remarks
    try:
        return _read(file, name, image_size, remarks)
    except DataProblem:
        bare = without_metadata(file) if _is_there(file) else None
        if bare is None:
            raise
    picture = _read(bare, name, image_size, remarks)
    remarks[NOT_TURNED] += 1
    return picture


def stacked(pictures: Sequence[Pixels], source: object) -> Pixels:
    """All images as one array (n, channels, size, size): one channel if all are greyscale, otherwise three.

    Where some have 16 bits per channel, those of 8 bits are scaled to 16. Raises DataProblem, which names `source`, where
    those of 16 bits are so dark that they seem to count in other units.
    """
    deep = [picture for picture in pictures if picture.dtype == np.uint16]
    if deep and len(deep) < len(pictures) and (brightest := max(int(picture.max()) for picture in deep)) < BRIGHT:
        raise DataProblem(
            f"{source} mixes {len(pictures) - len(deep)} images of 8 bits per channel with {len(deep)} of 16 bits, whose"
            f" brightest pixel is {brightest} of 65535: they would be nearly black beside the others. Convert all to 8 bits."
        )
    n_channels = 1 if all(picture.ndim == 2 for picture in pictures) else 3
    pixels: Pixels = np.empty((len(pictures), n_channels, *pictures[0].shape[:2]), dtype=np.uint16 if deep else np.uint8)
    for position, picture in enumerate(pictures):
        scaled = picture * np.uint16(257) if deep and picture.dtype == np.uint8 else picture
        pixels[position] = scaled if scaled.ndim == 2 else scaled.transpose(2, 0, 1)
    return pixels


def _is_there(file: Path | BytesIO) -> bool:
    return isinstance(file, BytesIO) or file.is_file()


def _read(file: Path | BytesIO, name: object, image_size: int, remarks: Counter[str]) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _opened(file, name) as opened:
                _check_depth(opened, name)
                rawmode = _rawmode(opened)
                if opened.mode.startswith("I"):
                    channels, bits = [_as_floats(np.asarray(opened))], 16
                elif rawmode == "LA;16B":
                    channels, bits = [_grey_of_16_bits(opened)], 16
                elif rawmode.startswith("RGB") and ";16" in rawmode:
                    channels, bits = _colours_of_16_bits(file, name, opened, rawmode), 16
                else:
                    channels, bits = [opened.convert("L" if opened.mode in GREY else "RGB")], 8
                turned = _turn(opened, remarks)
                if _has_more(opened):
                    remarks[MORE] += 1
            return _square([turned(channel) for channel in channels], image_size, bits)
    except DataProblem:
        raise
    except Exception as error:  # Pillow's decoders may raise anything for a damaged file
        raise unreadable(name, "an image", error) from error


@contextmanager
def _opened(file: Path | BytesIO, name: object) -> Iterator[Any]:
    with needs("Pillow", name):
        from PIL import Image, UnidentifiedImageError
    if isinstance(file, BytesIO):
        file.seek(0)
    try:
        opened = Image.open(file, formats=_formats())
    except UnidentifiedImageError as error:
        n_bytes = len(file.getbuffer()) if isinstance(file, BytesIO) else file.stat().st_size
        what = f"it is none of the image formats that are read. {TO_DO}" if n_bytes else "it is empty."
        raise DataProblem(f"{name} cannot be read as an image: {what}") from error
    with opened:
        yield opened


@cache
def _formats() -> list[str]:
    from PIL import Image

    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _check_depth(opened: Any, name: object) -> None:
    """Raise DataProblem where Pillow would give fewer bits than the file has, so that a dark picture would become black."""
    if opened.mode == "F" or (opened.mode == "I" and opened.format != "PPM"):  # Pillow reads a PGM of 16 bits as I
        raise DataProblem(f"{name} has 32-bit pixels; images with 8 or 16 bits per channel are needed.")
    if opened.format == "PPM" and opened.mode == "RGB" and isinstance(opened.tile[0].args, tuple):
        brightest = opened.tile[0].args[-1]
        if isinstance(brightest, int) and brightest > 255:
            raise DataProblem(f"{name} has 16 bits per colour, which are not read from PPM files. {TO_DO}")


def _turn(opened: Any, remarks: Counter[str]) -> Any:
    """The function that turns a picture as the EXIF data say."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            turn = turns.get(opened.getexif().get(ORIENTATION))
            damaged = turn is None and bool(told)
        except Exception:  # Pillow may raise anything for damaged EXIF data; the picture beside them may be whole
            damaged = True
    if damaged:
        remarks[NOT_TURNED] += 1
    return (lambda picture: picture) if turn is None else (lambda picture: picture.transpose(turn))


def _rawmode(opened: Any) -> str:
    """How the pixels are stored, in Pillow's words, such as RGB;16B; empty where it does not say."""
    arguments = opened.tile[0].args if opened.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _grey_of_16_bits(opened: Any) -> Any:
    """Grey beside transparency, which Pillow would reduce to 8 bits: read as four bytes, of which the first two are the grey."""
    opened.tile = [tile._replace(args="RGBA") for tile in opened.tile]
    halves = np.asarray(opened).astype(np.float32)
    return _as_floats(halves[:, :, 0] * 256 + halves[:, :, 1])


def _colours_of_16_bits(file: Path | BytesIO, name: object, opened: Any, rawmode: str) -> list[Any]:
    """Red, green and blue. Pillow keeps the upper byte of each: the lower one is what it keeps in the other byte order."""
    native = {"little": "L", "big": "B"}[sys.byteorder]
    order = rawmode[-1].replace("N", native)
    other = rawmode[:-1] + {"B": "L", "L": "B"}[order]
    upper = np.asarray(opened)[:, :, :3].astype(np.float32)
    with _opened(file, name) as again:
        again.tile = [tile._replace(args=_with_rawmode(tile.args, other)) for tile in again.tile]
        values = upper * 256 + np.asarray(again)[:, :, :3]
    return [_as_floats(values[:, :, channel]) for channel in range(3)]


def _as_floats(values: NDArray[Any]) -> Any:
    """Values (height, width) as one of Pillow's images, which resizes floats without loss."""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))


def _with_rawmode(arguments: Any, rawmode: str) -> Any:
    return (rawmode, *arguments[1:]) if isinstance(arguments, tuple) else rawmode


def _has_more(opened: Any) -> bool:
    try:
        return bool(getattr(opened, "is_animated", False))
    except Exception:  # damage behind the first picture, which is read by now
        return True


def _square(channels: Sequence[Any], size: int, bits: int) -> Pixels:
    from PIL import Image

    resized = [np.asarray(channel.resize((size, size), Image.Resampling.BILINEAR)) for channel in channels]
    pixels = resized[0] if len(resized) == 1 else np.stack(resized, axis=-1)
    return pixels.round().clip(0, 2**16 - 1).astype(np.uint16) if bits == 16 else pixels

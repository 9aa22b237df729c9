"""Image files of many formats and modes, with EXIF data of all sorts, alone or in the folders of their classes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from objectives.contract import DataProblem
from objectives.data.image_folder import NO_IMAGES, image_folder
from objectives.data.pictures import NOT_TURNED, read_picture
from tests.loaders_fuzz.damage import damaged
from tests.loaders_fuzz.outcome import Outcome

MODES: Mapping[str, tuple[str, ...]] = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"),
    "BMP": ("1", "L", "P", "RGB"),
    "GIF": ("L", "P"),
    "PPM": ("1", "L", "RGB"),
    "TGA": ("L", "LA", "P", "RGB", "RGBA"),
    "JPEG2000": ("L", "LA", "RGB", "RGBA", "I;16"),
    "ICO": ("RGBA",),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "AVIF": ("RGB",),
}
INEXACT = ("JPEG", "WEBP", "AVIF", "ICO")
"""Formats whose pixels are not those that were saved."""
ENDINGS = (".png", ".JPG", ".jfif", ".tga", "", ".1")


@dataclass(frozen=True, kw_only=True)
class ImageCase:
    """One image file, which lies in `place` among others of its class."""

    content: bytes
    expected: np.ndarray | None
    """Pixels (n, n) or (n, n, 3) where they are known."""
    place: str
    plain: bool
    """Whether the file is sound, and of at most 16 bits, so that it must be read."""
    exif: bool


@st.composite
def image_cases(draw: st.DrawFn) -> ImageCase:
    """An image of random pixels, in two of three cases sound."""
    file_format = draw(st.sampled_from(list(MODES)))
    mode = draw(st.sampled_from(MODES[file_format]))
    size = draw(st.integers(1, 12)) if file_format not in ("ICO", "AVIF") else 16
    image = _image(mode, size, np.random.default_rng(draw(st.integers(0, 2**16))), draw(st.sampled_from([2**8, 2**10, 2**16])))
    options = {}
    has_exif = file_format in ("PNG", "JPEG", "WEBP") and draw(st.booleans())
    if has_exif:
        head = draw(
            st.sampled_from(
                [b"", b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0\x01\0", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"]
            )
        )
        options["exif"] = head + draw(st.binary(min_size=1, max_size=24))
    file = BytesIO()
    image.save(file, file_format, **options)
    content = file.getvalue()
    hurt = damaged(draw, content) if draw(st.integers(0, 2)) == 0 else content
    name = draw(st.sampled_from(["more/", "deeply/in/it/", "", "", ""])) + "picture" + draw(st.sampled_from(ENDINGS))
    sound = hurt == content
    known = sound and file_format not in INEXACT and not has_exif and mode not in ("I", "F")
    return ImageCase(
        content=hurt,
        expected=_pixels(image) if known else None,
        place=name,
        plain=sound and mode not in ("I", "F"),
        exif=has_exif,
    )


def _image(mode: str, size: int, generator: np.random.Generator, grey_levels: int) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(generator.integers(0, grey_levels, (size, size)).astype(np.uint16))
    if mode in ("I", "F"):
        return Image.fromarray(generator.integers(0, 2**20, (size, size)).astype(np.int32 if mode == "I" else np.float32))
    return Image.fromarray(generator.integers(0, 256, (size, size, 4)).astype(np.uint8), "RGBA").convert(mode)


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode == "I;16":
        return np.asarray(image)
    return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))


def check_image(case: ImageCase, folder: Path) -> Outcome:
    """Raises AssertionError when the image is read as another one, is lost in its folder, or refused without need."""
    size = 8 if case.expected is None else len(case.expected)
    remarks: Counter[str] = Counter()
    try:
        found = read_picture(BytesIO(case.content), "picture", size, remarks)
    except DataProblem as problem:
        if case.plain:
            raise AssertionError("refused without need") from problem
        _check_folder(case, folder, is_read=False)
        return "refused"
    assert found.shape in ((size, size), (size, size, 3))
    assert case.exif or not case.plain or not remarks[NOT_TURNED]
    if case.expected is not None:
        in_colour = found.ndim > case.expected.ndim  # a palette of greys is one of colours
        assert np.array_equal(found, case.expected[:, :, None].repeat(3, axis=2) if in_colour else case.expected)
    _check_folder(case, folder, is_read=True)
    return "read" if case.plain else "read, damaged"


def _check_folder(case: ImageCase, folder: Path, *, is_read: bool) -> None:
    """Among images of two classes the file counts as one more, or its folder is refused with its name."""
    others = BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(others, "PNG")
    for name in ("cat", "dog"):
        (folder / name).mkdir()
        for number in range(5):
            (folder / name / f"{number}.png").write_bytes(others.getvalue())
        (folder / name / f"labels{NO_IMAGES[0]}").touch()
    path = folder / "dog" / case.place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(case.content)
    try:
        sets = image_folder(folder, image_size=4)
    except DataProblem as problem:
        mixed = " of 8 bits per channel " in str(problem)
        if mixed or (not is_read and case.place in str(problem)):
            return
        raise AssertionError("refused without need, or without its name") from problem
    assert is_read
    assert len(sets.training) + len(sets.validation) + len(sets.test) == 11

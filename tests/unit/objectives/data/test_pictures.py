import re
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives.contract import DataProblem
from objectives.data.pictures import read_picture, stacked
from tests.unit.objectives.data.drawing import draw, random_pixels

GREY, COLOUR = random_pixels(8, 8), random_pixels(8, 8, 3)


def saved(picture: Image.Image, file_format: str = "PNG") -> BytesIO:
    file = BytesIO()
    picture.save(file, file_format)
    file.seek(0)
    return file


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_picture_of_the_size_asked_for_is_read_exactly(tmp_path: Path, pixels: np.ndarray, file_format: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(draw(pixels, file_format))
    assert np.array_equal(read_picture(path, path, 8), pixels)


def test_a_picture_of_another_size_becomes_a_square() -> None:
    halves = np.repeat([[0, 200]], 30, axis=0).repeat(10, axis=1).astype(np.uint8)
    found = read_picture(BytesIO(draw(halves)), "x", 4)
    assert found.shape == (4, 4)
    assert np.array_equal(found, np.flip(200 - found, axis=1))
    assert np.all(np.diff(found.astype(int)) > 0)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("1", (8, 8)), ("L", (8, 8)), ("LA", (8, 8)), ("P", (8, 8, 3)), ("RGB", (8, 8, 3)), ("RGBA", (8, 8, 3))],
)
def test_pictures_are_grey_or_in_colour_as_their_files_are(mode: str, shape: tuple[int, ...]) -> None:
    assert read_picture(saved(Image.fromarray(COLOUR).convert(mode)), "x", 8).shape == shape


def test_transparency_is_dropped() -> None:
    picture = Image.fromarray(COLOUR)
    picture.putalpha(7)
    assert np.array_equal(read_picture(saved(picture), "x", 8), COLOUR)


def test_of_16_bits_the_upper_8_are_kept() -> None:
    picture = Image.fromarray(GREY.astype(np.uint16) * 256 + 77)
    assert picture.mode == "I;16"
    assert np.array_equal(read_picture(saved(picture), "x", 8), GREY)


def test_a_picture_is_turned_as_its_exif_data_say() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    assert np.array_equal(read_picture(BytesIO(draw(GREY, exif=exif)), "x", 8), GREY[::-1, ::-1])


def test_grey_pictures_have_one_channel_unless_one_is_in_colour() -> None:
    assert np.array_equal(stacked([GREY, GREY]), np.stack([GREY, GREY])[:, None])
    mixed = stacked([GREY, COLOUR])
    assert np.array_equal(mixed[0], np.stack([GREY] * 3))
    assert np.array_equal(mixed[1], COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no image", "x.png cannot be read as an image (UnidentifiedImageError)."),
        (b"", "x.png cannot be read as an image (UnidentifiedImageError)."),
        (draw(COLOUR)[:-60], "x.png cannot be read as an image (OSError)."),
        (
            saved(Image.fromarray(GREY.astype(np.float32)), "TIFF").getvalue(),
            "x.png has 32-bit pixels; images with 8 or 16 bits per channel are needed.",
        ),
    ],
)
def test_a_file_that_is_no_image_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(DataProblem, match=f"^{re.escape(sentence)}$"):
        read_picture(BytesIO(content), "x.png", 8)


def test_what_to_install_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = BytesIO(draw(GREY))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataProblem, match=r"^x\.png needs Pillow to be read: pip install 'stride\[data\]'\.$"):
        read_picture(picture, "x.png", 8)

import re
import struct
import sys
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objectives.contract import DataProblem
from objectives.data.pictures import MORE, NOT_TURNED, read_picture, stacked
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


DARK = np.arange(64, dtype=np.uint16).reshape(8, 8)


@pytest.mark.parametrize("pixels", [DARK, DARK * 16, DARK * 1000 + 77], ids=["below 256", "10 bits", "16 bits"])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG2000", "PGM"])
def test_of_16_bits_all_are_kept(pixels: np.ndarray, file_format: str) -> None:
    pgm = b"P5 8 8 65535\n" + pixels.astype(">u2").tobytes()
    file = BytesIO(pgm) if file_format == "PGM" else saved(Image.fromarray(pixels), file_format)
    found = read_picture(file, "x", 8)
    assert found.dtype == np.uint16
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("n_channels", [2, 3, 4])
def test_of_16_bits_per_colour_all_are_kept(n_channels: int) -> None:
    """Pillow alone would keep the upper 8: a dark picture would be black."""
    pixels = np.stack([DARK * 3 + channel for channel in range(n_channels)], axis=-1)
    expected = pixels[:, :, 0] if n_channels == 2 else pixels[:, :, :3]  # without transparency
    assert np.array_equal(read_picture(BytesIO(png_of_16_bits(pixels)), "x", 8), expected)


@pytest.mark.parametrize("order", ["<", ">"])
def test_of_16_bits_per_colour_in_tiff_all_are_kept(order: str) -> None:
    pixels = np.stack([DARK * 3, DARK, DARK + 300], axis=-1)
    assert np.array_equal(read_picture(BytesIO(tiff_of_16_bits(pixels, order)), "x", 8), pixels)


def png_of_16_bits(pixels: np.ndarray) -> bytes:
    """Of (height, width, 2 to 4): grey and transparency, colours, colours and transparency."""
    kind = {2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def tiff_of_16_bits(pixels: np.ndarray, order: str) -> bytes:
    """Colours, uncompressed, in one strip behind the header, which is 128 bytes long."""
    height, width, _ = pixels.shape
    content = pixels.astype(f"{order}u2").tobytes()
    tags = [(256, width), (257, height), (259, 1), (262, 2), (273, 128), (277, 3), (278, height), (279, len(content))]
    entries = [struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags]
    entries.insert(2, struct.pack(f"{order}HHII", 258, 3, 3, 122))
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries)) + b"".join(entries)
    return header + struct.pack(f"{order}I3H", 0, 16, 16, 16) + content


def test_beside_pictures_of_16_bits_those_of_8_are_scaled() -> None:
    mixed = stacked([DARK * 1000, GREY], "x")
    assert np.array_equal(mixed[:, 0], [DARK * 1000, GREY * np.uint16(257)])


def test_dark_pictures_of_16_bits_beside_others_of_8_are_refused() -> None:
    sentence = "folder mixes 1 images of 8 bits per channel with 2 of 16 bits, whose brightest pixel is 63 of 65535: "
    with pytest.raises(DataProblem, match=f"^{sentence}"):
        stacked([DARK, GREY, DARK], "folder")


def test_a_colour_picture_of_16_bits_that_pillow_would_cut_is_refused() -> None:
    content = b"P6 8 8 65535\n" + np.stack([DARK] * 3, axis=-1).astype(">u2").tobytes()
    with pytest.raises(DataProblem, match=r"^x has 16 bits per colour, which are not read from PPM files\. Convert it to PNG"):
        read_picture(BytesIO(content), "x", 8)


def test_a_picture_is_turned_as_its_exif_data_say() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    assert np.array_equal(read_picture(BytesIO(draw(GREY, exif=exif)), "x", 8), GREY[::-1, ::-1])


def exif(*entries: tuple[int, int, int, int]) -> bytes:
    """EXIF data with entries of tag, type, count and value."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", 0)


UPSIDE_DOWN = (0x0112, 3, 1, 3)


@pytest.mark.parametrize(
    ("data", "turned", "remarks"),
    [
        (b"no TIFF header", False, 1),
        (b"II*\0\xff\xff\xff\xff", False, 1),
        (exif(UPSIDE_DOWN)[:20], False, 1),
        (exif((0x010E, 5, 1, 10**6), UPSIDE_DOWN), False, 1),  # a text stored as a fraction, which lies beyond the end
        (exif((0x010E, 5, 1, 8), UPSIDE_DOWN), True, 0),
        (exif((0x0112, 3, 1, 77)), False, 0),
    ],
)
def test_a_picture_beside_damaged_exif_data_is_read(data: bytes, turned: bool, remarks: int) -> None:
    found: Counter[str] = Counter()
    picture = read_picture(BytesIO(with_exif(draw(GREY), data)), "x", 8, found)
    assert np.array_equal(picture, GREY[::-1, ::-1] if turned else GREY)
    assert found.total() == found[NOT_TURNED] == remarks


def with_exif(png: bytes, data: bytes) -> bytes:
    return png[:33] + chunk(b"eXIf", data) + png[33:]


def test_exif_data_of_a_wrong_type_in_a_jpeg_do_not_hide_the_picture() -> None:
    data = b"Exif\0\0" + exif((0x010E, 5, 1, 8), UPSIDE_DOWN)
    jpeg = draw(GREY, "JPEG", quality=100)
    with_data = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + jpeg[2:]
    assert np.array_equal(read_picture(BytesIO(with_data), "x", 8), read_picture(BytesIO(jpeg), "x", 8)[::-1, ::-1])


@pytest.mark.parametrize("before_pixels", [True, False])
@pytest.mark.parametrize("name", [b"eXIf", b"tEXt", b"iCCP", b"zTXt"])
def test_a_wrong_checksum_of_a_png_files_metadata_does_not_hide_the_picture(name: bytes, before_pixels: bool) -> None:
    png, wrong = draw(COLOUR), chunk(name, b"text\0about it")[:-1] + b"?"
    place = 33 if before_pixels else len(png) - 12
    found: Counter[str] = Counter()
    picture = read_picture(BytesIO(png[:place] + wrong + png[place:]), "x", 8, found)
    assert np.array_equal(picture, COLOUR)
    assert found.total() <= 1


@pytest.mark.parametrize("place", [30, 45, 60])
def test_damaged_pixels_are_refused_also_beside_other_data(place: int) -> None:
    png = bytearray(draw(COLOUR))
    png[place] ^= 1
    with pytest.raises(DataProblem, match=r"^x cannot be read as an image"):
        read_picture(BytesIO(bytes(png[:33]) + chunk(b"tEXt", b"a\0b") + bytes(png[33:])), "x", 8)


def test_further_pictures_in_a_file_are_counted() -> None:
    file, remarks = BytesIO(), Counter[str]()
    Image.fromarray(GREY).save(file, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    read_picture(file, "x", 8, remarks)
    read_picture(saved(Image.fromarray(GREY), "GIF"), "x", 8, remarks)
    assert remarks == {MORE: 1}


def test_grey_pictures_have_one_channel_unless_one_is_in_colour() -> None:
    assert np.array_equal(stacked([GREY, GREY], "x"), np.stack([GREY, GREY])[:, None])
    mixed = stacked([GREY, COLOUR], "x")
    assert np.array_equal(mixed[0], np.stack([GREY] * 3))
    assert np.array_equal(mixed[1], COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"no image",
            "x.png cannot be read as an image: it is none of the image formats that are read. Convert it to PNG or JPEG, or take"
            " it out.",
        ),
        (b"", "x.png cannot be read as an image: it is empty."),
        (draw(COLOUR)[:-60], "x.png cannot be read as an image (image file is truncated)."),
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
    with pytest.raises(DataProblem, match=r"^x\.png needs Pillow to be read: install it, or Stride with its extra data\.$"):
        read_picture(picture, "x.png", 8)

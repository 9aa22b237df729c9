"""PNG files whose metadata are damaged: the picture is read without them, as other programs do."""

from io import BytesIO
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
OF_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
"""The chunks that the pixels are made of; all others say something about the picture, such as how it is turned."""


def without_metadata(file: Path | BytesIO) -> BytesIO | None:
    """The file with the chunks of its pixels only; None: it is no PNG file, or has no others."""
    content = file.getvalue() if isinstance(file, BytesIO) else file.read_bytes()
    if not content.startswith(SIGNATURE):
        return None
    kept, place = [SIGNATURE], len(SIGNATURE)
    while place < len(content):
        # Length, name, content, checksum: https://www.w3.org/TR/png-3/#5Chunk-layout
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] in OF_PIXELS:
            kept.append(content[place:end])
        place = end
    bare = b"".join(kept)
    return BytesIO(bare) if len(bare) < len(content) else None

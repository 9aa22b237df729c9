"""Reads texts encoded in UTF-8, and says where a file is not."""

import codecs
from pathlib import Path

from objectives.contract import DataProblem
from objectives.data.files import unreadable


def read_utf8(path: Path, what: str) -> str:
    """The text of a file, without a byte order mark. what: such a file, in words. Raises DataProblem."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        perhaps = " (perhaps the file is UTF-16)" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
        raise DataProblem(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8, in which {what} must be encoded{perhaps}."
        ) from error
    except OSError as error:
        raise unreadable(path, "a file", error) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataProblem(f"{path}, line {line} holds a NUL byte: it is no text in UTF-8, but perhaps one in UTF-16.")
    return text

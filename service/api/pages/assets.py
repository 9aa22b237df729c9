"""/assets: style sheets and scripts of the pages, and Plotly's script as its installed package has it."""

import gzip
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Response

router = APIRouter(prefix="/assets", include_in_schema=False)

Asset = Literal[
    "stride.css",
    "figures.js",
    "tables.js",
    "patch.js",
    "stride.js",
    "form.css",
    "form.js",
    "fields.js",
    "replies.js",
    "plotly.js",
]
MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}


@router.get("/{name}")
def get_asset(
    name: Asset, accept_encoding: Annotated[str, Header()] = "", if_none_match: Annotated[str, Header()] = ""
) -> Response:
    """One file, compressed where the browser takes that. It is asked for at each visit, and sent if it has changed."""
    content, compressed, tag = _content(name)
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if tag in if_none_match:
        return Response(status_code=304, headers=headers)
    if "gzip" in accept_encoding:
        headers["Content-Encoding"], content = "gzip", compressed
    return Response(content, headers=headers, media_type=MEDIA_TYPES[name.rpartition(".")[2]])


@lru_cache
def _content(name: Asset) -> tuple[bytes, bytes, str]:
    """A file, the same compressed, and its tag."""
    content = _path(name).read_bytes()
    return content, gzip.compress(content, 6), f'"{sha256(content).hexdigest()[:16]}"'


def text_of(name: Asset) -> str:
    """The text of a file."""
    return _content(name)[0].decode()


def _path(name: Asset) -> Path:
    if name != "plotly.js":
        return Path(__file__).parent / "static" / name
    # Found without an import of the package, which takes as long as all else.
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"

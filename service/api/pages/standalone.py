"""A page as one file, which works without a server: style and scripts stand in it, and it may load and send nothing."""

import base64
from functools import lru_cache
from hashlib import sha256
from typing import Any

from fastapi.responses import HTMLResponse
from markupsafe import Markup

from service.api.pages.assets import Asset, text_of
from service.api.pages.render import HEADERS, rendered

SCRIPTS: tuple[Asset, ...] = ("plotly.js", "figures.js", "tables.js", "patch.js", "stride.js")


def standalone(template: str, file_name: str, **shown: Any) -> HTMLResponse:
    """A page from a template, with what it needs. file_name: under which a browser saves it."""
    scripts = [_inline(name) for name in SCRIPTS]
    policy = _policy()
    page = rendered(template, **shown, style=Markup(text_of("stride.css")), scripts=scripts, policy=policy, is_report=True)  # noqa: S704  our own
    headers = {
        **HEADERS,
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
        "Content-Disposition": f'inline; filename="{file_name}"',
    }
    return HTMLResponse(page, headers=headers)


@lru_cache
def _inline(name: Asset) -> Markup:
    """A script as it can stand in a page: nothing in it ends the element."""
    return Markup(text_of(name).replace("</script", r"<\/script"))  # noqa: S704  ours, and Plotly's


@lru_cache
def _policy() -> str:
    """What the page may do, which it says itself since a file has no headers: run these scripts, and nothing else.

    Plotly writes style sheets into the page, and makes pictures of figures to save them.
    """
    hashes = (base64.b64encode(sha256(_inline(name).encode()).digest()).decode() for name in SCRIPTS)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )

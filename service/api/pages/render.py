"""Pages, rendered on the server: every value is escaped, and nothing is loaded from another address."""

import json
import math
from functools import lru_cache
from hashlib import sha256
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from service.analysis.words.cost import duration
from service.analysis.words.numbers import number, short, values
from service.api.pages.lessons import EXPLAINED
from service.domain.trial import TrialState
from service.version import VERSION

# Plotly writes a style sheet of its own into the page; scripts come from this server alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def html(template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page from a template, with the values that it shows."""
    return HTMLResponse(rendered(template, **shown), status, HEADERS)


def rendered(template: str, **shown: Any) -> str:
    """The text of a page."""
    return _environment().get_template(template).render(**shown)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "short": short,
        "values": values,
        "duration": duration,
        "became": _became,
        "sortable": _sortable,
        "as_json": _as_json,
        "digest": _digest,
        "as_lines": _as_lines,
    }
    environment.globals |= {"version": VERSION, "is_report": False, "explained": EXPLAINED}
    return environment


def _became(state: str) -> str:
    """What people say of a trial in this state."""
    return "diverged" if state == TrialState.INFEASIBLE else state


def _sortable(value: Any) -> Any:
    """What a table sorts a cell by: nothing where there is no value, or one that is not finite; these come last."""
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value


def _digest(value: Any) -> str:
    """Tells values from one another: what a button asks for is done once, in however many tabs it is pressed."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _as_json(value: Any) -> str:
    """JSON for an attribute, which Jinja then escapes."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _as_lines(value: Any) -> str:
    """JSON for people."""
    return json.dumps(value, allow_nan=False, indent=2)

"""Request bodies, parsed more strictly than by Python: values that JSON or PostgreSQL cannot hold are refused, with pointers."""

import json
import math
from collections.abc import Callable, Coroutine, Iterator
from email.message import Message
from itertools import islice
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.routing import APIRoute

from service.domain.space import MAX_INTEGER

MAX_DEPTH = 32
MAX_FAULTS = 20
LARGE = 1_000_000
"""Bytes of a body that takes long to parse."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRoute(APIRoute):
    """A route that, if it takes a body, takes strict JSON only; else the response is 400, 415 or 422."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_json(request: Request) -> Response:
            request = _JsonRequest(request.scope, request.receive)
            # Read here: FastAPI answers 400 to any error that is raised while it reads the body, also to a body over the limit.
            body = await request.body()
            if body:
                if not _is_json(request):
                    raise HTTPException(415, "Send the body as JSON, with the header Content-Type: application/json.")
                # A large one would keep the event loop from all other requests.
                request.document = await run_in_threadpool(_checked, body) if len(body) > LARGE else _checked(body)
            return await handle(request)

        return handle_json


class _JsonRequest(Request):
    document: Any = None
    """The body, parsed and checked."""

    async def json(self) -> Any:
        return self.document


class _Object(dict[str, Any]):
    """A JSON object that knows which of its names were given more than once."""

    repeated: frozenset[str] = frozenset()


def _is_json(request: Request) -> bool:
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    subtype = header.get_content_subtype()
    return header.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))


def _checked(body: bytes) -> Any:
    document = _parsed(body)
    faults = [
        {"type": "json_value", "loc": ("body", *path), "msg": message, "input": None}
        for path, message in islice(_faults(document), MAX_FAULTS)
    ]
    if faults:
        raise RequestValidationError(faults, body=document)
    return document


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_int=_integer, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise HTTPException(400, f"The body is not UTF-8, at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise HTTPException(400, f"The body is not JSON: {error.msg}, at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise HTTPException(400, f"The body is nested too deeply: {MAX_DEPTH} levels at most.") from None


def _integer(digits: str) -> float:
    # Python raises ValueError for thousands of digits. No valid number has that many: infinity is refused later.
    return int(digits) if len(digits) < 30 else math.inf


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    document = _Object(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        document.repeated = frozenset(name for name in names if names.count(name) > 1)
    return document


def _faults(document: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), document)]
    while pending:
        path, value = pending.pop()
        if len(path) > MAX_DEPTH:
            yield path[:MAX_DEPTH], f"is nested too deeply: {MAX_DEPTH} levels at most"
            continue
        match value:
            case _Object():
                for name in value.repeated:
                    yield (*path, name), "is given twice: give it once"
                for name in value:
                    if wrong := _text_fault(name):
                        yield (*path, name), f"has a name that {wrong}"
                pending += [((*path, name), item) for name, item in value.items()]
            case list():
                pending += [((*path, index), item) for index, item in enumerate(value)]
            case str():
                if wrong := _text_fault(value):
                    yield path, wrong
            case float() if not math.isfinite(value):
                yield path, "must be a finite number, of at most 1.7e308; whole numbers lie between -2^63 and 2^63"
            case int() if not isinstance(value, bool) and abs(value) >= MAX_INTEGER:
                yield path, "must lie between -2^63 and 2^63; write larger numbers with a decimal point"
            case _:
                pass


def _text_fault(text: str) -> str | None:
    if "\0" in text:
        return "must not contain the character U+0000, which the database cannot store: remove it"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "must be valid Unicode: it contains an unpaired surrogate"
    return None

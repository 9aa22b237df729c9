"""What goes wrong on a page, as a page: people do not read problem documents."""

import json
from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from service.api.faults import faults_of
from service.api.pages.render import html
from service.api.problems import PROBLEMS, RETRY_AFTER_S
from service.errors import InvalidJob, InvalidQuestion, NotComparable, StrideError


class PageRoute(APIRoute):
    """A route whose errors are pages. Where the database cannot be reached, the page asks for itself again.

    It answers HEAD, too, as those ask who look whether a link is alive.
    """

    def __init__(self, path: str, *args: Any, methods: Collection[str], **kwargs: Any) -> None:
        head = set() if path.endswith("/changes") else {"HEAD"}  # a stream would be followed to its end
        super().__init__(path, *args, methods={*methods, *head}, **kwargs)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except StrideError as error:
                _, title, status = PROBLEMS[type(error)]
                faults = error.faults if isinstance(error, InvalidJob | InvalidQuestion | NotComparable) else []
                return _page(title, [f"{fault.pointer}: {fault.detail}" for fault in faults] or [str(error)], status)
            except RequestValidationError as error:
                said = [f"{fault.pointer}: {fault.detail}" for fault in faults_of(error, None)]
                return _page("The request is not valid", said, 422)

        return handle_or_explain


def install(app: FastAPI) -> None:
    """Show browsers as a page what is on no route, and what fails unexpectedly. To be called after `problems.install`."""
    for kind in (HTTPException, Exception):
        as_problem = cast(Callable[[Request, Exception], Response], app.exception_handlers[kind])
        app.exception_handlers[kind] = partial(_for_whom_asks, as_problem)


def _for_whom_asks(as_problem: Callable[[Request, Exception], Response], request: Request, error: Exception) -> Response:
    problem = as_problem(request, error)
    if request.url.path.startswith("/v1/") or "text/html" not in request.headers.get("accept", ""):
        return problem
    said = json.loads(bytes(problem.body))
    page = _page(said["title"], [said["detail"]], problem.status_code)
    page.headers.update(getattr(error, "headers", None) or {})
    return page


def _page(title: str, said: list[str], status: int) -> Response:
    return html("error.html", status, title=title, said=said, again_s=RETRY_AFTER_S if status == 503 else None)

"""What goes wrong on a page, as a page: people do not read problem documents."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service.api.faults import faults_of
from service.api.pages.render import html
from service.api.problems import PROBLEMS, RETRY_AFTER_S
from service.errors import InvalidJob, InvalidQuestion, NotComparable, StrideError


class PageRoute(APIRoute):
    """A route whose errors are pages. Where the database cannot be reached, the page asks for itself again."""

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
                said = [f"{fault.pointer}: {fault.detail}" for fault in faults_of(error)]
                return _page("The request is not valid", said, 422)

        return handle_or_explain


def _page(title: str, said: list[str], status: int) -> Response:
    return html("error.html", status, title=title, said=said, again_s=RETRY_AFTER_S if status == 503 else None)

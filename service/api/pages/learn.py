"""/learn: a short lesson for each thing that an answer rests on, with a picture of real training and a job to try."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.api.pages.errors import PageRoute
from service.api.pages.lessons import LESSONS
from service.api.pages.render import html

router = APIRouter(prefix="/learn", include_in_schema=False, route_class=PageRoute)


@router.get("")
def lessons_page() -> HTMLResponse:
    """All lessons, in order."""
    return html("lessons.html", lessons=LESSONS)


@router.get("/{name}")
def lesson_page(name: str) -> HTMLResponse:
    """One lesson, with the one before it and the one after."""
    place = next((place for place, lesson in enumerate(LESSONS) if lesson.name == name), None)
    if place is None:
        return html("error.html", 404, title="There is no such lesson", said=["/learn lists all lessons."], again_s=None)
    recorded = LESSONS[place].recorded()
    return html(
        "lesson.html",
        lesson=LESSONS[place],
        number=place + 1,
        of=len(LESSONS),
        before=LESSONS[place - 1] if place > 0 else None,
        after=LESSONS[place + 1] if place + 1 < len(LESSONS) else None,
        figure=LESSONS[place].draw(recorded),
        made=recorded["made"],
    )

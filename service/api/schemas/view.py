"""What the API's documents have in common. Numbers that are not finite are null; times are RFC 3339 in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Moment = Annotated[datetime, PlainSerializer(lambda moment: moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), str)]
Item = TypeVar("Item")


class View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Page(View, Generic[Item]):
    """A part of a list."""

    # For the docstrings of each Page[...] pydantic would look through all callers: a tenth of the time in which the API starts.
    model_config = ConfigDict(use_attribute_docstrings=False)

    items: list[Item]
    next_cursor: str | None = Field(description="For `?cursor=`, to get the next part; null at the end.")

"""The base of the API's documents. Numbers that are not finite are null; times are RFC 3339 in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Moment = Annotated[datetime, PlainSerializer(lambda moment: moment.astimezone(UTC).isoformat().replace("+00:00", "Z"), str)]
Item = TypeVar("Item")


class View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Page(View, Generic[Item]):
    """One page of a list."""

    # Pydantic would search the whole call stack for the docstrings of each Page[...]: a tenth of the time the API takes to start.
    model_config = ConfigDict(use_attribute_docstrings=False)

    items: list[Item]
    next_cursor: str | None = Field(description="Value of `?cursor=` for the next page; null on the last page.")

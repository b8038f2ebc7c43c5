"""Lists in pages: one row more than asked for tells whether there is another page."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.params import QueryParameter

from sync_service.api.requests import after, from_number_cursor, to_cursor, to_number_cursor
from sync_service.api.user_data import Row, UserData

Limit = Annotated[int, QueryParameter(ge=1, le=250)]


async def newest(
    user_data: UserData, query: Any, cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """Return a page of *query* by time of creation, newest first, and the next page's cursor."""
    if cursor is not None:
        query = query.or_(after("created_at", cursor, descending=True))
    ordered = query.order("created_at", desc=True).order("id", desc=True).limit(limit + 1)
    rows = await user_data.rows(ordered)
    page = rows[:limit]
    more = len(rows) > limit
    return page, to_cursor(page[-1]["created_at"], page[-1]["id"]) if more else None


async def numbered(
    user_data: UserData, query: Any, cursor: str | None, limit: int, *, descending: bool
) -> tuple[list[Row], str | None]:
    """Return a page of *query* in the order of its numeric ids, and the next page's cursor."""
    if cursor is not None:
        number = from_number_cursor(cursor)
        query = query.lt("id", number) if descending else query.gt("id", number)
    rows = await user_data.rows(query.order("id", desc=descending).limit(limit + 1))
    page = rows[:limit]
    return page, to_number_cursor(page[-1]["id"]) if len(rows) > limit else None

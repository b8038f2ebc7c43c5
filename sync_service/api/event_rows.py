"""Single events as the caller may read and write them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sync_service.api.problems import FieldError, Problem, invalid, not_found
from sync_service.api.user_data import Row, UserData, to_row


async def read(user_data: UserData, event_id: UUID) -> Row:
    """Return the event; raises `Problem` (404) when it is not there or deleted."""
    query = user_data.table("calendar_events").select("*").eq("id", event_id)
    row = await user_data.first(query.is_("deleted_at", None))
    if row is None:
        raise not_found("event")
    return row


async def find(user_data: UserData, event_id: UUID) -> Row | None:
    """Return the event, be it deleted or not; None when there is no row of it."""
    return await user_data.first(user_data.table("calendar_events").select("*").eq("id", event_id))


async def write(
    user_data: UserData, event_id: UUID, fields: dict[str, Any], version: int | None
) -> Row:
    """Change the event if it is there and, where *version* is given, still at that version.

    One statement compares and writes. Raises `Problem` (404, 412).
    """
    if not fields:
        row = await read(user_data, event_id)
        if version in (None, row["version"]):
            return row
        raise stale(row)
    query = user_data.table("calendar_events").update(to_row(fields)).eq("id", event_id)
    query = query.is_("deleted_at", None)
    if version is not None:
        query = query.eq("version", version)
    row = await user_data.first(query)
    if row is None:
        # Nothing matched: it is not there, or it is at another version.
        raise stale(await read(user_data, event_id))
    return row


async def home_filter(user_data: UserData, calendar_id: UUID) -> str:
    """Return the filter for events at home in the calendar; those without a home are in the
    default target."""
    query = user_data.table("calendars").select("default_target").eq("id", calendar_id)
    calendar = await user_data.first(query)
    if calendar is None:
        raise invalid(FieldError("calendar_id", "is not one of your calendars"))
    homeless = ",calendar_id.is.null" if calendar["default_target"] else ""
    return f"calendar_id.eq.{calendar_id}{homeless}"


def stale(row: Row) -> Problem:
    """Return the answer to a change of another version than that of *row*."""
    return Problem(
        412,
        "version_mismatch",
        f"The event is at version {row['version']} by now; read it again.",
        headers={"ETag": f'"{row["version"]}"'},
    )

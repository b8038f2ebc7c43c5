"""Changing series and their occurrences for the caller, each change whole or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args
from uuid import UUID, uuid5

import msgspec
from postgrest.exceptions import APIError

from sync_service.api import event_rows
from sync_service.api.problems import FieldError, Problem, invalid
from sync_service.api.requests import moment
from sync_service.api.series_plans import (
    Fields,
    Plan,
    SeriesRows,
    exception_for,
    own_fields,
    plan_all,
    plan_end,
    plan_following,
)
from sync_service.api.user_data import Row, UserData, every, to_row
from sync_service.api.validation import check_whole

Scope = Literal["this", "following", "all"]

_TRIES = 4
_SPLITS = 8
"""How often one series can be split at the same occurrence, having been made whole in between."""


def read_scope(scope: str | None, occurrence: str | None) -> tuple[Scope, datetime | None]:
    """Read what a change is for: by default one occurrence where it is named, else everything.

    Raises `Problem` (400, 422).
    """
    if scope is not None and scope not in get_args(Scope):
        raise Problem(400, "bad_scope", "`scope` must be this, following or all.")
    if occurrence is None:
        if scope in ("this", "following"):
            raise Problem(400, "bad_scope", f"`scope={scope}` needs an `occurrence`.")
        return "all", None
    return cast("Scope", scope or "this"), moment("occurrence", occurrence)


async def change(
    user_data: UserData,
    event_id: UUID,
    fields: dict[str, Any],
    version: int | None,
    scope: Scope,
    at: datetime | None,
) -> Row:
    """Change an event, a series, one occurrence or all from one on; returns the row that tells.

    For `following` that is the new series. Raises `Problem` (404, 409, 412, 422).
    """

    async def once() -> Row:
        row = await event_rows.read(user_data, event_id)
        if at is None and (not row["recurrence"] or not fields):
            own = own_fields(row, fields) if row["series_id"] else fields
            return await event_rows.write(user_data, event_id, own, version)
        rows = await _read(user_data, row)
        if scope == "following" and at is not None and rows.occurrence(at) is None:
            # Asked again, after it was done: the answer may have been lost.
            rest = await _rest(user_data, rows.master["id"], at)
            if rest is not None:
                return await change(user_data, UUID(rest["id"]), fields, version, "all", None)
        found = _occurrence(rows, at)
        if scope == "this" and found is not None:
            return await _change_one(user_data, rows, found, fields, version)
        _check_version(row, version)
        now = datetime.now(UTC)
        if scope == "all" or found is None or rows.is_first(found):
            plan = plan_all(rows, found, fields, now)
        else:
            new_id = await _free_id(user_data, row["id"], found)
            plan = plan_following(rows, found, fields, new_id, now)
        check_whole(plan.new or {**row, **plan.changes[0]})
        return await _carry_out(user_data, rows, plan)

    return await _repeated(once)


async def delete(
    user_data: UserData,
    event_id: UUID,
    gone: dict[str, Any],
    version: int | None,
    scope: Scope,
    at: datetime | None,
) -> Row:
    """Delete an event, a series, one occurrence or all from one on; returns the row that tells.

    *gone* is what marks a row as deleted. Raises `Problem` (404, 409, 412).
    """

    async def once() -> Row:
        if at is None:
            return await event_rows.write(user_data, event_id, gone, version)
        rows = await _read(user_data, await event_rows.read(user_data, event_id))
        found = _occurrence(rows, at)
        if scope == "this" and found is not None:
            return await _change_one(user_data, rows, found, gone, version)
        if scope == "all" or found is None or rows.is_first(found):
            return await event_rows.write(user_data, event_id, gone, version)
        _check_version(rows.master, version)
        return await _carry_out(user_data, rows, plan_end(rows, found, gone))

    return await _repeated(once)


async def _read(user_data: UserData, row: Row) -> SeriesRows:
    query = user_data.table("calendar_events").select("*").eq("series_id", row["id"])
    exceptions = await every(user_data, query)
    return SeriesRows(row, exceptions if row["recurrence"] else [])


def _occurrence(rows: SeriesRows, at: datetime | None) -> datetime | None:
    if at is None:
        return None
    found = rows.occurrence(at) if rows.master["recurrence"] else None
    if found is None:
        exception = rows.exception_at(at)
        why = "starts then, by its rules" if exception is None else "is there: it is cancelled"
        hint = "" if exception is None else f"; restore {exception['id']} to bring it back"
        raise Problem(
            404, "occurrence_not_found", f"No occurrence of this event {why}{hint}. {at:%FT%TZ}"
        )
    return found


async def _change_one(
    user_data: UserData, rows: SeriesRows, at: datetime, fields: Fields, version: int | None
) -> Row:
    exception = rows.exception_at(at)
    if exception is not None:
        own = own_fields(rows.master, fields)
        return await event_rows.write(user_data, UUID(exception["id"]), own, version)
    _check_version(rows.master, version)
    row = exception_for(rows.master, at, fields)
    check_whole(row)
    written = await user_data.first(user_data.table("calendar_events").insert(to_row(row)))
    if written is None:
        raise Problem(404, "not_found", "There is no such event.")
    return written


async def _carry_out(user_data: UserData, rows: SeriesRows, plan: Plan) -> Row:
    query = user_data.rpc(
        "change_series",
        p_series_id=rows.master["id"],
        p_versions=_json(rows.versions),
        p_new=_json(to_row(plan.new)) if plan.new else None,
        p_changes=_json([to_row(one) for one in plan.changes]),
    )
    row = await user_data.first(query)
    if row is None:
        raise Problem(404, "not_found", "There is no such event.")
    return row


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _repeated(once: Callable[[], Awaitable[Row]]) -> Row:
    """Run *once* again when the series changed between reading and writing."""
    for left in reversed(range(_TRIES)):
        try:
            return await once()
        except APIError as fault:
            # 23505: somebody else made the same exception.
            if fault.code not in ("PT409", "23505"):
                raise
            if not left:
                raise Problem(
                    409, "changed_meanwhile", "The series keeps changing; try again."
                ) from None
    raise AssertionError


def _check_version(row: Row, version: int | None) -> None:
    if version is not None and version != row["version"]:
        raise event_rows.stale(row)


def _ids(series_id: str, at: datetime) -> list[str]:
    """Return the ids for what follows *at*: repeating the request finds what it made."""
    return [str(uuid5(UUID(series_id), f"{at:%Y%m%dT%H%M%SZ}/{n}")) for n in range(_SPLITS)]


async def _rest(user_data: UserData, series_id: str, at: datetime) -> Row | None:
    """Return the series that was split off at *at*, if it is there."""
    query = user_data.table("calendar_events").select("*").in_("id", _ids(series_id, at))
    rows = {row["id"]: row for row in await user_data.rows(query.is_("deleted_at", None))}
    made = [rows[one] for one in _ids(series_id, at) if one in rows]
    return made[-1] if made else None


async def _free_id(user_data: UserData, series_id: str, at: datetime) -> str:
    ids = _ids(series_id, at)
    query = user_data.table("calendar_events").select("id").in_("id", ids)
    taken = {row["id"] for row in await user_data.rows(query)}
    free = next((one for one in ids if one not in taken), None)
    if free is None:
        raise invalid(FieldError("occurrence", "was made the first of a series too often"))
    return free

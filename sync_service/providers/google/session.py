"""The calls of one connected Google account."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from sync_service.core.event import Content
from sync_service.errors import (
    ChangedMeanwhile,
    Forbidden,
    Gone,
    IdTaken,
    IdUnseen,
    MissingScope,
    Unmappable,
)
from sync_service.providers.base import (
    CalendarList,
    CalendarRef,
    Change,
    ChangePage,
    Channel,
    Created,
    Mark,
    Notify,
    RemoteCalendar,
    RemoteEvent,
    RemovedEvent,
)
from sync_service.providers.google import codec, times
from sync_service.providers.google.client import Client, Resources

WRITE_ROLES = ("writerWithoutPrivateAccess", "writer", "owner")
ID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
"""base32hex, the only letters that Google takes in a chosen id (reference, 'Events: insert')."""
_PAGE = 250
"""Small pages: each is translated and settled at a stretch, while single edits wait."""
_SEND_UPDATES: dict[Notify, Any] = {"none": "none", "external_only": "externalOnly", "all": "all"}


class GoogleSession:
    """Calls of one connected account.

    Every write says who is mailed, and that it knows of conferences and attachments: without that,
    Google would leave both out (Calendar API reference, 'Events: patch').
    """

    def __init__(self, resources: Resources, client: Client, address: str | None) -> None:
        self._api = resources
        self._client = client
        # The id of a primary calendar is the account's address ('Calendars & events' guide).
        self._primary = address.lower() if address else "primary"

    async def list_calendars(self, *, cursor: str | None = None) -> CalendarList:
        """Return the account's list, hidden calendars included, or what changed in it.

        Where the user did not let us read the list, it is the primary calendar alone.
        """
        since: dict[str, Any] = {"syncToken": cursor} if cursor else {}
        entries: list[dict[str, Any]] = []
        page: str | None = None
        while True:
            at: dict[str, Any] = {"pageToken": page} if page else {}
            request = self._api.calendar_list.list(maxResults=250, showHidden=True, **since, **at)
            try:
                answer = await self._client.send("calendars", request)
            except MissingScope:
                return await self._primary_alone()
            entries += _items(answer)
            page = answer.get("nextPageToken")
            if not page:
                break
        return CalendarList(
            calendars=[read_calendar(entry) for entry in entries if not entry.get("deleted")],
            removed=[str(entry["id"]) for entry in entries if entry.get("deleted")],
            cursor=answer.get("nextSyncToken"),
            complete=cursor is None,
        )

    async def _primary_alone(self) -> CalendarList:
        request = self._api.events.list(calendarId=self._primary, maxResults=1)
        answer = await self._client.send("list", request)
        entry = {**answer, "id": self._primary, "primary": True}
        return CalendarList([read_calendar(entry)], complete=False, limited=True)

    async def changes(
        self,
        calendar: CalendarRef,
        *,
        cursor: str | None,
        page: str | None,
        since: datetime,
        until: datetime | None = None,
    ) -> ChangePage:
        """Return one page; deltas bring deletions, full listings only what is alive."""
        parameters: dict[str, Any] = {"singleEvents": False, "maxResults": _PAGE}
        if cursor:
            parameters["syncToken"] = cursor
        else:
            parameters["timeMin"] = since.astimezone(UTC).isoformat()
            if until:
                parameters["timeMax"] = until.astimezone(UTC).isoformat()
        if page:
            parameters["pageToken"] = page
        request = self._api.events.list(calendarId=calendar.external_id, **parameters)
        answer = await self._client.send("list", request)
        zone = cast("str | None", answer.get("timeZone") or calendar.time_zone)
        changes: list[Change] = []
        skipped: dict[str, str] = {}
        for item in _items(answer):
            if _masked(item, str(answer.get("accessRole", calendar.access_role))):
                skipped[str(item["id"])] = "masked"
                continue
            try:
                changes.append(_read_change(item, zone))
            except Unmappable as fault:
                skipped[str(item["id"])] = fault.detail
        return ChangePage(
            changes=changes,
            next_page=answer.get("nextPageToken"),
            cursor=answer.get("nextSyncToken"),
            time_zone=zone,
            access_role=answer.get("accessRole"),
            skip_reasons=skipped,
        )

    async def get(self, calendar: CalendarRef, external_id: str) -> RemoteEvent | None:
        """Return the event, None when deleted. A 404 is believed only if the calendar answers."""
        item = await self._read(calendar, external_id)
        if item is None or item.get("status") == "cancelled":
            return None
        if _masked(item, calendar.access_role):
            raise Unmappable("The account may see when this private event is, and no more.")
        return codec.read_event(item, calendar.time_zone)

    async def occurrence(
        self, calendar: CalendarRef, series: str, original_start: datetime, *, all_day: bool
    ) -> RemoteEvent | RemovedEvent | None:
        """Ask the series: the ids of its occurrences are Google's own affair."""
        request = self._api.events.instances(
            calendarId=calendar.external_id,
            eventId=series,
            originalStart=times.write_original_start(original_start, all_day=all_day),
            showDeleted=True,
        )
        try:
            answer = await self._client.send("get", request)
        except Gone:
            return None
        zone = cast("str | None", answer.get("timeZone") or calendar.time_zone)
        found = (_read_change(item, zone) for item in _items(answer))
        return next((each for each in found if _starts(each, original_start)), None)

    async def revive_occurrence(
        self, calendar: CalendarRef, external_id: str, *, notify: Notify
    ) -> RemoteEvent:
        """Confirm it again; a cancelled one keeps its id."""
        request = self._api.events.patch(
            calendarId=calendar.external_id,
            eventId=external_id,
            body={"status": "confirmed"},
            **_writing(notify),
        )
        stored = await self._client.send("update", request)
        return codec.read_event(stored, calendar.time_zone)

    async def create(
        self,
        calendar: CalendarRef,
        external_id: str,
        content: Content,
        mark: Mark,
        *,
        units: frozenset[str],
        revive: bool,
        notify: Notify,
    ) -> Created:
        """Insert under the chosen id; 409 means that it exists: ours, ours deleted, or foreign."""
        if not set(external_id) <= set(ID_ALPHABET):
            # Google's own ids have more letters than those that it lets us choose from.
            raise IdTaken
        written = codec.write_event(content, units, seed=external_id)
        body = codec.merge_patch({"id": external_id}, codec.with_mark(written, mark))
        request = self._api.events.insert(
            calendarId=calendar.external_id,
            body=cast("Any", body),
            **_writing(notify),
        )
        try:
            stored = await self._client.send("insert", request)
            return Created(codec.read_event(stored, calendar.time_zone), existed=False)
        except ChangedMeanwhile as fault:
            if fault.code != "duplicate":
                raise
        item = await self._read(calendar, external_id)
        if item is None:
            raise IdUnseen
        if item.get("status") != "cancelled":
            if codec.read_mark(item) != mark:
                raise IdTaken
            return Created(codec.read_event(item, calendar.time_zone), existed=True)
        ours = codec.read_mark(item) == mark
        if ours and not revive:
            raise Gone
        if ours or revive:
            body = codec.revive(item, content, units, mark)
        revived = await self._revive(calendar, external_id, body, item.get("etag"), notify)
        return Created(revived, existed=False)

    async def update(
        self,
        calendar: CalendarRef,
        external_id: str,
        *,
        etag: str | None,
        content: Content,
        units: frozenset[str],
        data: Mapping[str, Any],
        notify: Notify,
    ) -> RemoteEvent:
        """Patch *units* on the condition that *etag* still stands."""
        body = codec.write_event(content, units, data, seed=f"{external_id} {etag}")
        request = self._api.events.patch(
            calendarId=calendar.external_id,
            eventId=external_id,
            body=cast("Any", body),
            **_writing(notify),
        )
        stored = await self._client.send("update", request, if_match=etag)
        return codec.read_event(stored, calendar.time_zone)

    async def delete(
        self, calendar: CalendarRef, external_id: str, etag: str | None, *, notify: Notify
    ) -> None:
        """Delete; 404 and 410 say that it is gone already."""
        request = self._api.events.delete(
            calendarId=calendar.external_id,
            eventId=external_id,
            sendUpdates=_SEND_UPDATES[notify],
        )
        try:
            await self._client.send("delete", request, if_match=etag)
        except Gone:
            return

    async def open_channel(
        self,
        calendar: CalendarRef | None,
        *,
        channel_id: str,
        secret: str,
        address: str,
        ttl_s: int,
    ) -> Channel:
        """Watch the calendar's events, or the calendar list."""
        body: Any = {
            "id": channel_id,
            "type": "web_hook",
            "address": address,
            "token": secret,
            "params": {"ttl": str(ttl_s)},
        }
        request = (
            self._api.calendar_list.watch(body=body)
            if calendar is None
            else self._api.events.watch(calendarId=calendar.external_id, body=body)
        )
        answer = await self._client.send("watch", request)
        expires_ms = answer.get("expiration")
        return Channel(
            resource_id=str(answer["resourceId"]),
            expires_at=datetime.fromtimestamp(int(expires_ms) / 1000, UTC) if expires_ms else None,
        )

    async def close_channel(self, channel_id: str, resource_id: str) -> None:
        """Stop a channel; 404 says that it is over."""
        request = self._api.channels.stop(
            body=cast("Any", {"id": channel_id, "resourceId": resource_id})
        )
        try:
            await self._client.send("stop", request)
        except Gone:
            return

    async def _read(self, calendar: CalendarRef, external_id: str) -> dict[str, Any] | None:
        request = self._api.events.get(calendarId=calendar.external_id, eventId=external_id)
        try:
            return await self._client.send("get", request)
        except Gone:
            # An event that never was and a calendar we may no longer see give the same 404.
            # The events are asked: not every calendar is listed, and the list may be closed to us.
            probe = self._api.events.list(
                calendarId=calendar.external_id, maxResults=1, fields="accessRole"
            )
            await self._client.send("calendar", probe)
            return None

    async def _revive(
        self,
        calendar: CalendarRef,
        external_id: str,
        body: dict[str, Any],
        etag: str | None,
        notify: Notify,
    ) -> RemoteEvent:
        request = self._api.events.update(
            calendarId=calendar.external_id,
            eventId=external_id,
            body=cast("Any", {**body, "status": body.get("status", "confirmed")}),
            **_writing(notify),
        )
        try:
            stored = await self._client.send("update", request, if_match=etag)
            return codec.read_event(stored, calendar.time_zone)
        except (Gone, Forbidden) as fault:
            # Some tombstones stay dead (imported events, guests' copies); their ids stay taken.
            raise IdTaken from fault


def _writing(notify: Notify) -> dict[str, Any]:
    """Return what every write of content says: who is mailed, and that it knows all parts."""
    return {
        "sendUpdates": _SEND_UPDATES[notify],
        "conferenceDataVersion": 1,
        "supportsAttachments": True,
    }


def _items(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", answer.get("items") or [])


def _read_change(item: dict[str, Any], zone: str | None) -> Change:
    if item.get("status") == "cancelled":
        return RemovedEvent(str(item["id"]), codec.read_occurrence(item))
    return codec.read_event(item, zone)


def _starts(change: Change, original_start: datetime) -> bool:
    return change.occurrence is not None and change.occurrence.original_start == original_start


def _masked(item: dict[str, Any], role: str) -> bool:
    """Say whether this is a private event without what it says: no version to believe."""
    return (
        role not in ("writer", "owner")
        and item.get("status") != "cancelled"
        and item.get("visibility") in ("private", "confidential")
        and "summary" not in item
        and not cast("dict[str, Any]", item.get("creator") or {}).get("self")
    )


def read_calendar(entry: dict[str, Any]) -> RemoteCalendar:
    """Read an entry of the calendar list; an unknown role reads and does not write."""
    role = str(entry.get("accessRole", "reader"))
    external_id = str(entry["id"])
    reason = None
    if role in ("freeBusyReader", "none"):
        reason = "Only free/busy times are shared with this account."
    return RemoteCalendar(
        external_id=external_id,
        name=str(entry.get("summaryOverride") or entry.get("summary") or external_id),
        access_role=role,
        writable=role in WRITE_ROLES,
        is_primary=bool(entry.get("primary", False)),
        time_zone=entry.get("timeZone"),
        color=entry.get("backgroundColor"),
        unsyncable_reason=reason,
    )

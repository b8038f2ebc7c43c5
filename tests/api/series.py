"""A series to change through the HTTP API, and how its occurrences are listed."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Person

DAILY: dict[str, Any] = {
    "title": "Stand-up",
    "start_time": "2027-03-26T09:00:00Z",
    "end_time": "2027-03-26T09:30:00Z",
    "time_zone": "Europe/Berlin",
    "recurrence": ["RRULE:FREQ=DAILY;COUNT=5"],
}
# Ten o'clock in Berlin, across the beginning of summer time on the 28th.
STARTS = [f"2027-03-{day}:00:00Z" for day in ("26T09", "27T09", "28T08", "29T08", "30T08")]


async def listed(
    person: Person, start: str = "2027-03-01", end: str = "2027-05-01", **params: Any
) -> list[dict[str, Any]]:
    """Return everything in a window, expanded, page by page."""
    query = {"start_date": start, "end_date": end, "expand": "true"} | params
    found: list[dict[str, Any]] = []
    while True:
        answer = await person.call("GET", "/events", params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return found
        query["cursor"] = answer.json()["next_cursor"]


def said(items: list[dict[str, Any]], *names: str) -> list[Any]:
    if len(names) == 1:
        return [item[names[0]] for item in items]
    return [tuple(item[name] for name in names) for item in items]


async def change(
    person: Person,
    event: dict[str, Any],
    body: dict[str, Any] | None,
    *,
    if_match: str | None = None,
    **params: Any,
) -> Any:
    """PATCH, or without a body DELETE; return the answer."""
    headers = {"If-Match": if_match} if if_match else None
    method = "DELETE" if body is None else "PATCH"
    path = f"/events/{event['id']}"
    return await person.call(method, path, json=body, params=params, headers=headers)


async def changed(
    person: Person, event: dict[str, Any], body: dict[str, Any] | None, **params: Any
) -> dict[str, Any]:
    answer = await change(person, event, body, **params)
    assert answer.status_code == 200, answer.text
    return answer.json()

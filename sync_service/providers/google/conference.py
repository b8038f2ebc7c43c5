"""Video calls: Google's `conferenceData`, there and back.

In the app a conference is `{url, …}`. Under `google` stands Google's own description of it,
untouched, so that it can be given to another event (the second half of a series, say).
`{"create": "google_meet"}` asks for a new one: Google makes it a moment later (Calendar API guide,
'Conferences'); until then its `status` is `pending`, and `failed` when it could not be made.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from sync_service.providers.google.values import Resource, object_in, objects_in, text_in

_MEET, _TO_MEET = "google_meet", "hangoutsMeet"
_STATES = {"pending": "pending", "failure": "failed"}
_ENTRY_TYPES = ("video", "more", "phone", "sip")
_MAX_URI = 1300
_PARTS = (
    "conferenceId",
    "conferenceSolution",
    "createRequest",
    "entryPoints",
    "notes",
    "parameters",
    "signature",
)


def read_conference(item: Resource) -> dict[str, Any] | None:
    """Return the event's conference, None where it has none."""
    theirs = object_in(item, "conferenceData")
    url = _url(theirs) or text_in(item, "hangoutLink")
    asked = object_in(theirs, "createRequest")
    conference: dict[str, Any] = {}
    if url:
        conference["url"] = url
    if asked:
        kind = object_in(asked, "conferenceSolutionKey").get("type", _TO_MEET)
        conference["create"] = _MEET if kind == _TO_MEET else str(kind)
        if not url:
            code = object_in(asked, "status").get("statusCode")
            conference["status"] = _STATES.get(str(code), "pending")
    if theirs:
        conference["google"] = theirs
    return conference or None


def write_conference(conference: Resource | None, seed: str) -> dict[str, Any] | None:
    """Return the `conferenceData` for *conference*; parts of another one that it replaces are null.

    *seed* tells one wish for a new conference from another; the same wish has the same request id.
    """
    if conference and (url := conference.get("url")):
        return {**dict.fromkeys(_PARTS), **_description(conference, str(url))}
    if conference and conference.get("create"):
        request = {
            "requestId": hashlib.sha256(seed.encode()).hexdigest()[:32],
            "conferenceSolutionKey": {"type": _TO_MEET},
        }
        return {**dict.fromkeys(_PARTS), "createRequest": request}
    return None


def refused_conference(conference: Resource | None) -> str | None:
    """Say why Google cannot hold *conference*, None when it can."""
    url = (conference or {}).get("url")
    if url:
        if len(str(url)) > _MAX_URI:
            return f"The address of its conference is longer than {_MAX_URI} characters."
        if _url(object_in(conference or {}, "google")) != url and not _is_web(url):
            return "The address of its conference is no http(s) URL."
        return None
    wish = (conference or {}).get("create")
    if wish and wish != _MEET:
        return f'Google makes no conference of this kind; the only one is "{_MEET}".'
    return None


def _description(conference: Resource, url: str) -> dict[str, Any]:
    theirs = object_in(conference, "google")
    if theirs and _url(theirs) == url:
        # What was asked for once must not be asked for again.
        return {name: value for name, value in theirs.items() if name != "createRequest"}
    return {
        "conferenceSolution": {"key": {"type": "addOn"}, "name": urlsplit(url).hostname or url},
        "entryPoints": [{"entryPointType": "video", "uri": url}],
    }


def _url(theirs: Resource) -> str | None:
    for kind in _ENTRY_TYPES:
        for point in objects_in(theirs, "entryPoints"):
            if point.get("entryPointType") == kind and point.get("uri"):
                return str(point["uri"])
    return None


def _is_web(url: Any) -> bool:
    return isinstance(url, str) and url.startswith(("https://", "http://"))

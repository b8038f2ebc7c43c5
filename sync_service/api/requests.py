"""Reading requests: strict bodies, preferences, conditions, windows and cursors."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.params import HeaderParameter, QueryParameter

from sync_service.api.auth import Caller
from sync_service.api.problems import FieldError, Problem, invalid
from sync_service.api.user_data import quoted

MAX_WAIT_S = 10.0
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([^\s,;\"]*)")
_VERSION = re.compile(r'(?:W/)?"?(\d{1,18})"?')
_Place = TypeVar("_Place")
_PATH = re.compile(r" - at `\$\.?(.*)`$")


class StrictRequest(Request[Caller, str, State]):
    """A request whose JSON body is decoded to what the handler declares, and not bent to fit it.

    The framework reads a body leniently, as it reads query strings: "true" for true, a number for
    a time. A wrong type is the caller's mistake and must not be guessed at.
    """

    async def json(self) -> Any:
        """Return the body as the type of the handler's `data`; raises `Problem` (400, 422)."""
        declared = self.route_handler.parsed_data_field
        wanted = declared.annotation if declared else Any
        try:
            return msgspec.json.decode(await self.body(), type=wanted)
        except msgspec.ValidationError as fault:
            raise invalid(_field_error(str(fault))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Problem(400, "malformed_json", "The body is not valid JSON.") from None


def _field_error(message: str) -> FieldError:
    at = _PATH.search(message)
    path = at[1] if at else ""
    text = _PATH.sub("", message)
    for start in ("Object contains unknown field", "Object missing required field"):
        if text.startswith(start):
            name = text.split("`")[1]
            known = "is not a known field" if "unknown" in start else "is required"
            return FieldError(f"{path}.{name}" if path else name, known)
    return FieldError(path or "body", text[:1].lower() + text[1:])


Prefer = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer",
        description="`wait=N`: answer once every calendar has it, or after N (0 to 10) seconds.",
    ),
]
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", description="The event's `version`; another one by now answers 412."
    ),
]

SendUpdates = Annotated[
    Literal["all", "external_only", "none"],
    QueryParameter(
        description="Which guests their calendar tells of this one change: `all`, those with a "
        "calendar elsewhere (`external_only`), or `none`, as without it."
    ),
]


def wish(send_updates: str) -> dict[str, str]:
    """Return the column that asks for guests to be told; nothing where nobody is to be told."""
    return {} if send_updates == "none" else {"send_updates": send_updates}


def wanted_wait(preferences: str | None) -> float | None:
    """Return the seconds of `Prefer: wait=N`, None without it; raises `Problem` (422)."""
    found = _WAIT.search(preferences) if preferences else None
    if found is None:
        return None
    try:
        seconds = float(found[1])
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= MAX_WAIT_S:
        raise invalid(FieldError("Prefer", f"wait must be between 0 and {MAX_WAIT_S:.0f} seconds"))
    return seconds


def expected_version(if_match: str | None) -> int | None:
    """Return the version of `If-Match`, None without it or for `*`; raises `Problem` (422)."""
    condition = (if_match or "").strip()
    if condition in ("", "*"):
        return None
    found = _VERSION.fullmatch(condition)
    if found is None:
        raise invalid(FieldError("If-Match", 'must be a version, such as "3"'))
    return int(found[1])


def moment(name: str, value: str) -> datetime:
    """Read the query parameter *name*: a date (UTC midnight) or a date and time with offset."""
    try:
        if len(value) == len("2026-01-01"):
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        found = msgspec.convert(value, datetime)
        if found.tzinfo is None:
            raise ValueError(value)
        return found.astimezone(UTC)
    except (ValueError, OverflowError, msgspec.ValidationError):
        raise invalid(
            FieldError(
                name,
                "must be a date or an RFC 3339 time with an offset (write `+` as `%2B` in a URL)",
            )
        ) from None


def to_cursor(at: datetime, key: str) -> str:
    """Return the opaque cursor of the row with this time and id."""
    return _packed([at, key])


def from_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Read what `to_cursor` made; raises `Problem` (422)."""
    at, key = _unpacked(cursor, tuple[datetime, UUID])
    try:
        return at.astimezone(UTC), key
    except OverflowError:
        raise _foreign_cursor() from None


def to_number_cursor(number: int) -> str:
    """Return the opaque cursor of the row with this numeric id."""
    return _packed([number])


def from_number_cursor(cursor: str) -> int:
    """Read what `to_number_cursor` made; raises `Problem` (422)."""
    (number,) = _unpacked(cursor, tuple[Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]])
    return number


def _packed(place: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _unpacked(cursor: str, shape: type[_Place]) -> _Place:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=shape)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise _foreign_cursor() from None


def _foreign_cursor() -> Problem:
    return invalid(FieldError("cursor", "is not a cursor that this service gave"))


def after(column: str, cursor: str, *, descending: bool = False) -> str:
    """Return the logical filter for rows behind *cursor* in the order (*column*, id)."""
    at, key = from_cursor(cursor)
    order = "lt" if descending else "gt"
    time = quoted(at)
    return f"{column}.{order}.{time},and({column}.eq.{time},id.{order}.{key})"

"""What can go wrong, named after what the caller should do about it.

Providers and the store translate every failure into one of these at the edge; the engine decides
by `disposition` alone and the API maps it to an HTTP status. Codes are stable: clients may switch
on them, so they are only ever added.
"""

from __future__ import annotations

import enum
from typing import Any, Literal

Scope = Literal["request", "event", "calendar", "connection", "app"]


class Disposition(enum.Enum):
    """What the queue does with the work that failed."""

    RETRY = "retry"
    """Try again later; the attempt counts."""
    SNOOZE = "snooze"
    """Try again later; the attempt does not count."""
    GIVE_UP = "give_up"
    """Never again as it is: the row is kept, visible and retryable by its owner."""
    SETTLE = "settle"
    """The thing is gone; plan again with that knowledge."""
    REPLAN = "replan"
    """Somebody was there meanwhile: read, merge, try again."""
    RESYNC = "resync"
    """The cursor is dead: start a full sync."""
    PAUSE = "pause"
    """Nothing will work until the user (or their admin) acts."""
    STOP = "stop"
    """The process cannot run as configured."""


class SyncError(Exception):
    """An expected failure with a stable code and an instruction to the caller.

    *detail* is shown to users and must never hold a token or an event's content. *retry_after_s*
    is the least delay in seconds, where the other side named one. *scope* says how far it reaches.
    """

    code = "sync_error"
    disposition = Disposition.GIVE_UP
    scope: Scope = "event"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        retry_after_s: float | None = None,
        scope: Scope | None = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().splitlines()[0]
        self.code = code or type(self).code
        self.retry_after_s = retry_after_s
        self.scope = scope or type(self).scope
        self.context = context or {}
        super().__init__(f"{self.code}: {self.detail}")

    def as_json(self) -> dict[str, Any]:
        """Return the form stored in `last_error` columns: code, detail, scope and time to wait."""
        stored: dict[str, Any] = {"code": self.code, "detail": self.detail, "scope": self.scope}
        if self.retry_after_s is not None:
            stored["retry_after_s"] = self.retry_after_s
        return stored


class Retryable(SyncError):
    """Something passing; waiting mends it."""

    code = "retry_later"
    disposition = Disposition.RETRY
    scope: Scope = "request"


class ProviderUnavailable(Retryable):
    """The provider did not answer usefully; nothing to do but wait."""

    code = "provider_unavailable"


class MayHaveHappened(Retryable):
    """A write got no clear answer: look before repeating it."""

    code = "outcome_unknown"


class StoreUnavailable(Retryable):
    """The database did not answer; check that it is up and reachable."""

    code = "store_unavailable"


class Throttled(SyncError):
    """The provider (or our own budget) asks us to slow down; work waits and is not lost."""

    code = "throttled"
    disposition = Disposition.SNOOZE
    scope: Scope = "connection"


class BudgetSpent(Throttled):
    """Our own budget of calls is spent for the moment; the provider was not asked."""

    code = "budget_spent"


class WritesLocked(Throttled):
    """The provider accepts no changes of this account for hours, for too many were made."""

    code = "quota_exceeded"


class Permanent(SyncError):
    """It will not work however often it is tried; change the event and it is tried again."""

    code = "refused"


class Rejected(Permanent):
    """The provider refuses this content; edit the event."""

    code = "provider_rejected"


class Forbidden(Permanent):
    """The provider does not allow this here; check the calendar's sharing settings."""

    code = "provider_forbidden"


class Unmappable(Permanent):
    """The event holds something that this calendar cannot express."""

    code = "unmappable"


class Gone(SyncError):
    """The remote thing no longer exists."""

    code = "gone"
    disposition = Disposition.SETTLE


class ContainerGone(SyncError):
    """The whole calendar is gone or no longer shared with the connected account."""

    code = "calendar_unavailable"
    disposition = Disposition.PAUSE
    scope: Scope = "calendar"


class IdTaken(SyncError):
    """The chosen id belongs to another remote event; another one is chosen."""

    code = "id_taken"
    disposition = Disposition.REPLAN


class IdUnseen(IdTaken):
    """The chosen id is refused as taken, yet nothing is found under it: it may not show yet."""

    code = "id_unseen"


class PushUnsupported(SyncError):
    """This calendar cannot announce its changes; it is polled."""

    code = "push_unsupported"
    scope: Scope = "calendar"


class ChangedMeanwhile(SyncError):
    """The remote copy changed since it was read; it is read again and merged."""

    code = "changed_meanwhile"
    disposition = Disposition.REPLAN


class ResyncRequired(SyncError):
    """The provider dropped our position in its feed; everything is listed once more."""

    code = "resync_required"
    disposition = Disposition.RESYNC
    scope: Scope = "calendar"


class ReauthRequired(SyncError):
    """The account must be connected again; nothing is lost meanwhile."""

    code = "reconnect_needed"
    disposition = Disposition.PAUSE
    scope: Scope = "connection"


class MissingScope(ReauthRequired):
    """The user did not grant everything that syncing needs; connect again and tick every box."""

    code = "missing_scope"


class Misconfigured(SyncError):
    """A setting is missing or wrong; `calsync doctor` says which."""

    code = "misconfigured"
    disposition = Disposition.STOP
    scope: Scope = "app"

"""Events that may have been moved from one calendar of an account to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sync_service.providers.base import CalendarRef
from sync_service.store.pool import Connection, Pool
from sync_service.store.statements import load

_SQL = load("moves")


@dataclass(frozen=True)
class Suspect:
    """An event of *source* that may be in *target* now; *deleted* when it is gone here already."""

    mapping_id: UUID
    event_id: UUID
    external_id: str
    ical_uid: str | None
    deleted: bool
    source_id: UUID
    source_ref: str
    target_id: UUID
    target_ref: str
    access_role: str

    def ref(self, external_id: str) -> CalendarRef:
        """Return one of the two calendars as the provider knows it."""
        return CalendarRef(external_id, self.access_role)

    def other_than(self, calendar_id: UUID) -> UUID:
        """Return the calendar at the other end."""
        return self.source_id if calendar_id == self.target_id else self.target_id


async def came_from(pool: Pool, calendar_id: UUID, external_ids: Sequence[str]) -> list[Suspect]:
    """Return events known in another calendar of the account under ids that showed up here."""
    rows = await pool.fetch(_SQL["came_from"], calendar_id, list(external_ids))
    return [Suspect(**dict(row.items())) for row in rows]


async def may_have_gone_to(
    pool: Pool, calendar_id: UUID, external_ids: Sequence[str], limit: int
) -> list[Suspect]:
    """Return, for events that are gone here, the calendars of the account where they may be."""
    rows = await pool.fetch(_SQL["may_have_gone_to"], calendar_id, list(external_ids), limit)
    return [Suspect(**dict(row.items())) for row in rows]


async def lock(connection: Connection, suspect: Suspect, task_id: int) -> bool | None:
    """Lock the event, then its mapping; None when it has moved already.

    True says that another worker than that of *task_id* is pushing it: its answer would find no
    mapping.
    """
    await connection.execute(_SQL["lock_event"], suspect.event_id)
    return await connection.fetchval(
        _SQL["lock_mapping"], suspect.mapping_id, suspect.source_id, suspect.target_id, task_id
    )


async def carry_out(connection: Connection, suspect: Suspect) -> None:
    """Move the event, its exceptions and their mappings."""
    ends = (suspect.event_id, suspect.source_id, suspect.target_id)
    await connection.execute(_SQL["drop_tombstones"], suspect.event_id, suspect.target_id)
    await connection.execute(_SQL["move_mappings"], *ends)
    await connection.execute(_SQL["move_event"], *ends)

"""`calsync verify`: both sides of every calendar, compared event by event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

from sync_service.engine.hub import open_hub
from sync_service.engine.verify import Report, verify
from sync_service.settings import load_settings
from sync_service.store.pool import open_pool

WORDS = {
    "equal": "equal",
    "differs": "differs",
    "missing_there": "missing there",
    "missing_here": "missing here",
}


async def run(calendar_id: UUID | None, say: Callable[[str], None]) -> bool:
    """Compare every synced calendar, or the one asked for, and return whether all are equal."""
    settings = load_settings()
    pool = await open_pool(settings)
    try:
        async with open_hub(settings, pool) as hub:
            reports = await verify(hub, calendar_id)
    finally:
        await pool.close()
    show(reports, say)
    return all(report.equal for report in reports)


def show(reports: Sequence[Report], say: Callable[[str], None]) -> None:
    """Print one line for each calendar and one for each event that is not equal."""
    if not reports:
        say("no calendar is being synced")
    for report in reports:
        counts = Counter(line.verdict for line in report.lines)
        summary = ", ".join(
            f"{counts[verdict]} {WORDS[verdict]}" for verdict in WORDS if counts[verdict]
        )
        say(f"{report.name} ({report.provider}): {summary or 'no events'}")
        for line in report.lines:
            if line.verdict != "equal":
                detail = f" ({line.detail})" if line.detail else ""
                say(f"  {WORDS[line.verdict]}: {line.title or 'untitled'}, {line.start}{detail}")

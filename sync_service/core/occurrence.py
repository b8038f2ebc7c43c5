"""One occurrence of a series, as long as nobody made it differ from the others."""

from __future__ import annotations

from datetime import datetime

import msgspec

from sync_service.core.event import Content


def plain(series: Content, original_start: datetime) -> Content:
    """Return the occurrence at *original_start* as the series alone describes it."""
    return msgspec.structs.replace(
        series,
        start=original_start,
        end=original_start + (series.end - series.start),
        recurrence=None,
    )

"""Every place where Google is silent, contradictory or configurable, as one switch each."""

from __future__ import annotations

from typing import Literal

import msgspec


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """The emulator's behaviour where the public documentation leaves a choice.

    The defaults are the likeliest reading; a robust client must pass with any value. Names that
    end in `_s` are seconds, `_rate` a probability for each message; None means no limit.
    """

    # OAuth
    access_token_lifetime_s: int = 3599
    code_lifetime_s: int = 600
    refresh_tokens_per_client: int = 100  # per account; one more ends the oldest
    testing_refresh_lifetime_s: int = 7 * 86400  # for clients in publishing status "Testing"
    report_refresh_lifetime: bool = False  # as `refresh_token_expires_in`
    unused_refresh_lifetime_s: int = 183 * 86400

    # Listing and sync
    page_token_lifetime_s: int = 3600
    sync_token_lifetime_s: int | None = None
    malformed_sync_token: Literal["410", "400"] = "410"  # noqa: S105
    sync_token_parameters: Literal["refuse", "ignore"] = "refuse"  # noqa: S105
    refuse_show_deleted_false: bool = True  # explicit showDeleted=false beside a sync token
    window_on_incremental: bool = False  # the sync token remembers timeMin and timeMax
    edge_redelivery: bool = False  # the last item of a delta comes again with the next one
    list_order: Literal["stable", "reversed", "shuffled"] = "stable"
    page_items: int | None = None  # no page holds more
    empty_first_page: bool = False
    updated_min_max_age_s: int = 29 * 86400
    read_lag_s: float = 0.0  # reads see the world as it was this long ago
    property_filters: Literal["or", "and"] = "or"  # repetitions of one parameter
    tombstone_fields: Literal["guide", "minimal", "full"] = "guide"  # details with showDeleted only
    tombstone_retention_s: int = 30 * 86400
    cancelled_instances_horizon_s: int = 183 * 86400  # in expanded deltas, around now
    max_instances: int = 730  # per series

    # Writes
    equal_times: Literal["refuse", "accept"] = "refuse"  # end = start
    fill_time_zone: bool = True  # a start without zone gets the calendar's
    noop_writes: Literal["bump", "ignore"] = "bump"  # new etag and message, or neither
    reminders_in_feed: bool = True
    revive_tombstones: bool = True  # else 403
    repeated_import: Literal["update", "duplicate"] = "update"
    orphaned_exceptions: Literal["cancel", "keep"] = "cancel"
    master_edits_flow: bool = True  # into fields an exception has not made its own
    exceptions_revive: bool = True  # with the series they were deleted with
    guest_edits: Literal["local", "refuse"] = "local"  # shared fields, without guestsCanModify
    unknown_color: Literal["refuse", "accept"] = "refuse"
    conference_delay_s: float = 0.5  # from `pending` to `success`
    strip_conference_fence: bool = True  # in descriptions of events without conference

    # Push channels
    channel_max_lifetime_s: int = 7 * 86400
    reuse_stopped_channel_ids: bool = False
    accept_loopback_http: bool = True  # Google itself never accepts http
    accept_any_http: bool = False
    sync_message_before_response: bool = False
    message_number_gap: int = 9  # up to so many numbers are left out
    honour_robots_txt: bool = True  # a disallow rule silently ends delivery
    webhook_timeout_s: float = 10.0  # a failure without retry
    webhook_retries_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)  # emulated time
    webhook_drop_rate: float = 0.0
    webhook_duplicate_rate: float = 0.0
    webhook_delay_s: tuple[float, float] = (0.0, 0.0)  # drawn evenly between the two
    webhook_reorder_rate: float = 0.0  # held back until others have overtaken
    in_flight_after_stop: bool = False
    deliver_after_revoke: bool = False
    max_channels: int | None = None

    # Limits
    project_units_per_minute: int | None = 10_000
    user_units_per_minute: int | None = 600
    minute_limit_status: Literal[403, 429] = 403
    minute_limit_envelope: Literal["A", "B"] = "B"
    calendar_writes_per_second: float | None = None
    calendar_limit_status: Literal[403, 429] = 403
    calendar_limit_envelope: Literal["A", "B"] = "A"
    event_creations_limit: int | None = 100_000  # per account; then writes are refused
    usage_limit_lock_s: int = 3600
    count_refused_calls: bool = True
    batch_limit: int = 1000
    shuffle_batch: bool = False
    free_busy_max_range_s: int | None = None

"""Every place where Google is silent, contradictory or configurable, as one switch each."""

from __future__ import annotations

from typing import Literal

import msgspec


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """The emulator's behaviour where the public documentation leaves a choice.

    The defaults are the likeliest reading; a robust client must pass with any value.
    """

    # OAuth
    access_token_lifetime_s: int = 3599
    code_lifetime_s: int = 600
    refresh_tokens_per_client: int = 100
    testing_refresh_lifetime_s: int = 7 * 86400
    report_refresh_lifetime: bool = False
    unused_refresh_lifetime_s: int = 183 * 86400

    # Listing and sync
    page_token_lifetime_s: int = 3600
    sync_token_lifetime_s: int | None = None
    malformed_sync_token: Literal["410", "400"] = "410"  # noqa: S105
    sync_token_parameters: Literal["refuse", "ignore"] = "refuse"  # noqa: S105
    refuse_show_deleted_false: bool = True
    window_on_incremental: bool = False
    edge_redelivery: bool = False
    list_order: Literal["stable", "reversed", "shuffled"] = "stable"
    page_items: int | None = None
    empty_first_page: bool = False
    updated_min_max_age_s: int = 29 * 86400
    read_lag_s: float = 0.0
    property_filters: Literal["or", "and"] = "or"
    tombstone_fields: Literal["guide", "minimal", "full"] = "guide"
    tombstone_retention_s: int = 30 * 86400
    cancelled_instances_horizon_s: int = 183 * 86400
    max_instances: int = 730

    # Writes
    equal_times: Literal["refuse", "accept"] = "refuse"
    fill_time_zone: bool = True
    noop_writes: Literal["bump", "ignore"] = "bump"
    reminders_in_feed: bool = True
    revive_tombstones: bool = True
    repeated_import: Literal["update", "duplicate"] = "update"
    orphaned_exceptions: Literal["cancel", "keep"] = "cancel"
    master_edits_flow: bool = True
    guest_edits: Literal["local", "refuse"] = "local"
    unknown_color: Literal["refuse", "accept"] = "refuse"
    conference_delay_s: float = 0.5
    strip_conference_fence: bool = True

    # Push channels
    channel_max_lifetime_s: int = 7 * 86400
    reuse_stopped_channel_ids: bool = False
    accept_loopback_http: bool = True
    accept_any_http: bool = False
    sync_message_before_response: bool = False
    message_number_gap: int = 9
    webhook_timeout_s: float = 10.0
    webhook_retries_s: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    webhook_drop_rate: float = 0.0
    webhook_duplicate_rate: float = 0.0
    webhook_delay_s: tuple[float, float] = (0.0, 0.0)
    webhook_reorder_rate: float = 0.0
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
    event_creations_limit: int | None = 100_000
    usage_limit_lock_s: int = 3600
    count_refused_calls: bool = True
    batch_limit: int = 1000
    shuffle_batch: bool = False
    free_busy_max_range_s: int | None = None

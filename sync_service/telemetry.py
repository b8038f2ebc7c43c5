"""Structured logs without secrets, and the metrics that the processes expose.

Redaction happens here and nowhere else: every record, ours or a library's, passes `redact` before
it is written.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

import structlog
from prometheus_client import Counter, Gauge, Histogram
from structlog.typing import Processor

REDACTED = "[redacted]"
_MAX_DEPTH = 6

# Matched against whole words of a key: `access_token` and `X-Goog-Channel-Token` are secret,
# `encoded` is not.
_SECRET_WORDS = frozenset(
    {"authorization", "apikey", "cookie", "password", "secret", "secrets", "token", "tokens"}
)
_SECRET_KEYS = frozenset({"api_key", "code_verifier", "authorization_code", "oauth_code", "state"})
# What is called `code` is an OAuth code unless everything says that it is an error's: it is a word
# like ours, in an object that is called an error or has a detail.
_ERROR_KEYS = frozenset({"error", "last_error"})
_ERROR_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
_WORDS = re.compile(r"[a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SECRET_TEXT = re.compile(
    r"""
    ya29\.[\w.-]+                                   # Google access token
    | \b[14]//?0?[\w-]{16,}                         # Google refresh token and authorization code
    | \beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?        # JWT
    | \bGOCSPX-[\w-]+                               # Google client secret
    | \bsb_secret_[\w-]+                            # Supabase secret key
    | \bv1\.[0-9a-f]{8}\.[\w-]{16,}                 # what the vault sealed
    | (?P<kept>
        \bBearer\s
        | [?&](?i:code|state|token|apikey)=
        | \b(?i:access_token|refresh_token|client_secret|code_verifier)=
      ) [^&\s"']+
    | (?P<scheme>://) [^\s/@:"']* : [^\s/@"']+ (?=@)   # user and password of a URL
    """,
    re.VERBOSE,
)

http_requests = Counter(
    "calsync_http_requests_total", "Answered requests.", ["method", "route", "status"]
)
http_seconds = Histogram(
    "calsync_http_request_seconds",
    "Time until the answer began.",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
webhooks = Counter(
    "calsync_webhooks_total", "Webhook messages by what became of them.", ["provider", "outcome"]
)
unexpected_errors = Counter(
    "calsync_unexpected_errors_total", "Failures that nobody foresaw: each is a bug.", ["where"]
)
pushes = Counter("calsync_pushes_total", "Pushes by how they ended.", ["provider", "outcome"])
pulls = Counter("calsync_pulls_total", "Pulls by how they ended.", ["provider", "outcome"])
push_latency = Histogram(
    "calsync_push_latency_seconds",
    "From a change's commit here until the provider has it.",
    ["provider"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
pull_latency = Histogram(
    "calsync_pull_latency_seconds",
    "From a provider's notice until its change is committed here.",
    ["provider"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
provider_units = Counter(
    "calsync_provider_units_total", "Units of the provider's quota that were spent.", ["provider"]
)
provider_units_today = Gauge(
    "calsync_provider_units_today",
    "Units of the provider's quota that all processes spent today (UTC).",
    ["provider"],
)
throttled = Counter(
    "calsync_throttled_total",
    "Work that was put off, by who asked for it.",
    ["provider", "reason"],
)
queue_rows = Gauge("calsync_queue_rows", "Rows of the queue.", ["status"])
queue_oldest = Gauge(
    "calsync_queue_oldest_pending_seconds", "Age of the oldest row that waits; 0 when none does."
)


def redact(value: Any, depth: int = 0, *, name: str = "") -> Any:
    """Return *value* with secrets replaced, by the names of keys and by how strings look.

    *name* is the key that it was found under.
    """
    if isinstance(value, str):
        return _SECRET_TEXT.sub(_keep_name, value)
    if isinstance(value, bytes):
        return redact(value.decode(errors="replace"), depth)
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value)
        is_error = name in _ERROR_KEYS or "detail" in pairs
        return {
            key: REDACTED
            if item and _is_secret(str(key)) and not (is_error and _is_error_code(key, item))
            else redact(item, depth + 1, name=str(key))
            for key, item in pairs.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item, depth + 1) for item in cast("list[Any]", value)]
    return value


def _keep_name(found: re.Match[str]) -> str:
    return f"{found['kept'] or found['scheme'] or ''}{REDACTED}"


def configure_logging(service: str, *, level: int = logging.INFO) -> None:
    """Write every log record of this process to stdout as one line of redacted JSON."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _name_service(service),
                _redact_record,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=repr),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # They log whole URLs, in which authorization codes and sync tokens travel.
    chatty = ["httpx", "httpcore", "urllib3", "googleapiclient.discovery_cache"]
    # It reports every run of every schedule.
    chatty.append("arq.worker")
    for name in chatty:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Requests are logged by the application itself, without their query strings.
    logging.getLogger("uvicorn.access").disabled = True


def _name_service(service: str) -> Processor:
    def add(_: Any, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record["service"] = service
        return record

    return add


def _redact_record(_: Any, __: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {
        key: REDACTED if _is_secret(key) and item else redact(item, name=key)
        for key, item in record.items()
    }


def _is_secret(key: str) -> bool:
    words = _WORDS.findall(_CAMEL.sub("_", key).lower())
    return (
        not _SECRET_WORDS.isdisjoint(words) or "_".join(words) in _SECRET_KEYS or words == ["code"]
    )


def _is_error_code(key: Any, item: Any) -> bool:
    return key == "code" and isinstance(item, str) and _ERROR_CODE.fullmatch(item) is not None

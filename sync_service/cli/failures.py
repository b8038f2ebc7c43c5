"""What a command says of an expected failure: one line. A bug keeps its traceback."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sync_service.errors import Misconfigured, SyncError


def explain(fault: BaseException) -> str | None:
    """Return the line that says what *fault* means, or None when nobody foresaw it."""
    import asyncpg
    from redis.exceptions import RedisError

    match fault:
        case SyncError():
            return fault.detail
        case BaseExceptionGroup():
            lines = [explain(part) for part in fault.exceptions]
            return "; ".join(dict.fromkeys(line for line in lines if line)) if all(lines) else None
        case asyncpg.PostgresError() | asyncpg.InterfaceError():
            return f"the database refuses: {fault}"
        case RedisError():
            return f"Redis does not answer as it should ({type(fault).__name__}); check REDIS_URL"
        case OSError():
            reason = fault.strerror or str(fault) or type(fault).__name__
            return f"{fault.filename}: {reason}" if fault.filename else reason
        case _:
            return None


@contextmanager
def listening(host: str, port: int) -> Generator[None]:
    """Name *host* and *port* when it turns out that nobody can listen there."""
    try:
        yield
    except OSError as fault:
        if fault.filename is not None:
            raise
        reason = fault.strerror or fault
        raise Misconfigured(
            f"cannot listen on {host}:{port} ({reason}): stop what does, or take another --port"
        ) from fault

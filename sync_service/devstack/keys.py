"""The secrets of one embedded stack: made once for a folder, kept there, readable by its owner."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec


class StackKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Passwords and keys that belong to one data folder. None of them is worth anything outside."""

    jwt_secret: str
    publishable_key: str
    secret_key: str
    tokens_encryption_key: str
    superuser_password: str
    postgres_password: str
    service_password: str
    lite_password: str

    @classmethod
    def generate(cls) -> StackKeys:
        """Make a fresh set."""
        return cls(
            jwt_secret=secrets.token_urlsafe(48),
            publishable_key=f"sb_publishable_{secrets.token_urlsafe(24)}",
            secret_key=f"sb_secret_{secrets.token_urlsafe(24)}",
            tokens_encryption_key=secrets.token_hex(32),
            superuser_password=secrets.token_hex(16),
            postgres_password=secrets.token_hex(16),
            service_password=secrets.token_hex(16),
            lite_password=secrets.token_hex(16),
        )


def load_or_generate(path: Path) -> StackKeys:
    """Return the keys stored at *path*, after making and storing them (mode 600) if need be."""
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=StackKeys)
    keys = StackKeys.generate()
    write_private(path, msgspec.json.format(msgspec.json.encode(keys)))
    return keys


def write_private(path: Path, content: bytes) -> None:
    """Write *content* to *path* at once and readable by the owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    draft.replace(path)

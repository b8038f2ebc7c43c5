"""Sealing of secrets that rest in the database: AES-256-GCM (NIST SP 800-38D).

A sealed text is `v1.<key id>.<nonce and ciphertext, base64url>`. The key id tells which key of the
ring opens it, so keys rotate without downtime. The place it rests in (table, column, row) is bound
in as associated data: a ciphertext moved to another row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sync_service.errors import Misconfigured
from sync_service.settings import Settings

_NONCE_BYTES = 12


class Vault:
    """A ring of keys: the first seals, all open. Keys never show in `repr`."""

    def __init__(self, key: bytes, old_keys: Iterable[bytes] = ()) -> None:
        self._sealing_id = _key_id(key)
        self._ring = {_key_id(each): AESGCM(each) for each in (*old_keys, key)}

    @classmethod
    def from_settings(cls, settings: Settings) -> Vault:
        """Build the ring from `TOKENS_ENCRYPTION_KEY` and `TOKENS_ENCRYPTION_KEYS_OLD`."""
        return cls(
            bytes.fromhex(settings.tokens_encryption_key.get_secret_value()),
            [bytes.fromhex(key.get_secret_value()) for key in settings.tokens_encryption_keys_old],
        )

    def seal(self, secret: str, *, place: str, row: UUID | str) -> str:
        """Seal *secret* for the column *place* (`table.column`) of *row*."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ring[self._sealing_id].encrypt(nonce, secret.encode(), _bound(place, row))
        encoded = base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()
        return f"v1.{self._sealing_id}.{encoded}"

    def open(self, sealed: str, *, place: str, row: UUID | str) -> str:
        """Open what `seal` made for the same place and row.

        Raises `Misconfigured` when no key of the ring opens it: it was sealed with another key, or
        moved here from another row.
        """
        version, _, rest = sealed.partition(".")
        key_id, _, encoded = rest.partition(".")
        key = self._ring.get(key_id)
        if version != "v1" or key is None:
            raise Misconfigured(
                f"A stored secret was sealed with the key {key_id}, which is not configured; "
                "add it to TOKENS_ENCRYPTION_KEYS_OLD.",
                code="sealing_key_unknown",
            )
        try:
            raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            return key.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound(place, row)).decode()
        except (InvalidTag, ValueError):
            raise Misconfigured(
                "A stored secret does not belong to the row it rests in.", code="sealed_elsewhere"
            ) from None


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"calsync key id" + key).hexdigest()[:8]


def _bound(place: str, row: UUID | str) -> bytes:
    return f"calsync:{place}:{row}".encode()

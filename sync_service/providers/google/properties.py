"""The app's `metadata` in Google's private extended properties, there and back.

Google keeps string values of at most 1024 characters under names of at most 44, drops or cuts what
is longer without a word, and takes 300 properties of 32 kB altogether (Calendar API guide,
'Extended properties'). So each key of the metadata is a property `calsync.<key>`, or
`calsync~<hash>` where the key is no such name. Its value is the text itself, or JSON where it is no
text or could be mistaken for JSON. Longer values are cut into parts, the first of which says how
many there are. Whatever else is among the properties is not ours and never named in a write.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from sync_service.providers.google.values import object_in

_KEY = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_NAME = re.compile(r"calsync(?:\.[A-Za-z0-9_.-]{1,32}|~[0-9a-f]{16})")
_PART = re.compile(_NAME.pattern + r"(?:~[0-9]{1,3})?")
_HEAD = re.compile(r"~([0-9]{1,3}):")
_PART_BYTES = 1000
"""Less than 1024, for the number of parts before the first; bytes are never fewer than letters."""
_MAX_PROPERTIES, _MAX_BYTES = 300, 32 * 1024
_NOTE_PROPERTIES, _NOTE_BYTES = 2, 128
"""What our own note on an event takes (`codec.with_mark`)."""


def read_metadata(private: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata that *private* properties hold; what cannot be read is left out."""
    metadata: dict[str, Any] = {}
    for name in private:
        if not _NAME.fullmatch(name):
            continue
        text = _joined(private, name)
        if text is None:
            continue
        value = _decoded(text)
        if name.startswith("calsync."):
            metadata[name.removeprefix("calsync.")] = value
        elif isinstance(value, dict):
            pair = cast("dict[str, Any]", value)
            if pair.keys() == {"key", "value"} and isinstance(pair["key"], str):
                metadata[pair["key"]] = pair["value"]
    return metadata


def write_metadata(metadata: Mapping[str, Any], present: Iterable[str]) -> dict[str, str | None]:
    """Return the properties that hold *metadata*; those of ours in *present* that go are null."""
    properties: dict[str, str | None] = dict.fromkeys(present)
    for key, value in metadata.items():
        if _KEY.fullmatch(key):
            name, text = f"calsync.{key}", _encoded(value)
        else:
            name = f"calsync~{hashlib.sha256(key.encode()).hexdigest()[:16]}"
            text = _encoded({"key": key, "value": value})
        parts = _cut(text)
        if len(parts) > 1:
            parts[0] = f"~{len(parts)}:{parts[0]}"
        for number, part in enumerate(parts):
            properties[f"{name}~{number}" if number else name] = part
    return properties


def present_names(private: Mapping[str, Any]) -> list[str]:
    """Return the names among *private* properties that hold metadata or parts of it."""
    return sorted(name for name in private if _PART.fullmatch(name))


def size_of_others(properties: Mapping[str, Any]) -> list[int]:
    """Return number and bytes of all that *properties* hold besides metadata."""
    others = [
        f"{name}{value}"
        for side in ("private", "shared")
        for name, value in object_in(properties, side).items()
        if side == "shared" or not _PART.fullmatch(name)
    ]
    return [len(others), sum(len(each.encode()) for each in others)]


def refused_metadata(metadata: Mapping[str, Any], others: Iterable[int]) -> str | None:
    """Say why Google cannot hold *metadata* beside *others*, None when it can."""
    count, size = others
    held = write_metadata(metadata, ())
    count += _NOTE_PROPERTIES + len(held)
    size += _NOTE_BYTES + sum(len(f"{name}{text}".encode()) for name, text in held.items())
    if count > _MAX_PROPERTIES or size > _MAX_BYTES:
        return (
            f"Its metadata is more than Google can hold beside an event: {_MAX_PROPERTIES} "
            f"properties of {_MAX_BYTES // 1024} kB altogether."
        )
    return None


def _joined(private: Mapping[str, Any], name: str) -> str | None:
    """Return the whole text that begins under *name*; None when a part of it is missing."""
    text = str(private[name])
    head = _HEAD.match(text)
    if head is None:
        return text
    parts = [text[head.end() :]]
    for number in range(1, int(head[1])):
        part = private.get(f"{name}~{number}")
        if part is None:
            return None
        parts.append(str(part))
    return "".join(parts)


def _encoded(value: Any) -> str:
    if isinstance(value, str) and _stands_for_itself(value):
        return value
    return msgspec.json.encode(value, order="deterministic").decode()


def _stands_for_itself(text: str) -> bool:
    """Say whether *text* is safe from being trimmed, and from being read as anything else."""
    if text != text.strip() or not text.isprintable() or text[:1] in ("", "~"):
        return False
    return _decoded(text) is text


def _decoded(text: str) -> Any:
    text = text.replace("\0", "")
    try:
        value = msgspec.json.decode(text)
        return text if _holds_nul(value) else value
    except (msgspec.DecodeError, RecursionError):
        return text


def _holds_nul(value: Any) -> bool:
    """Say whether Postgres could not store *value*, which is right about this one character."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return any("\0" in key or _holds_nul(each) for key, each in pairs.items())
    return isinstance(value, list) and any(map(_holds_nul, cast("list[Any]", value)))


def _cut(text: str) -> list[str]:
    """Cut *text* into parts that take no more than `_PART_BYTES` each, between letters."""
    if len(text.encode()) <= _PART_BYTES:
        return [text]
    parts, start, size = list[str](), 0, 0
    for at, letter in enumerate(text):
        width = len(letter.encode())
        if size + width > _PART_BYTES:
            parts.append(text[start:at])
            start, size = at, 0
        size += width
    return [*parts, text[start:]]

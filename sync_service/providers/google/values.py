"""Values out of Google's answers, of the type that they should have or as if they were absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

Resource = Mapping[str, Any]


def object_in(holder: Resource, key: str) -> Resource:
    """Return the object under *key*, an empty one where there is none."""
    found = holder.get(key)
    return cast("Resource", found) if isinstance(found, Mapping) else {}


def list_in(holder: Resource, key: str) -> list[Any]:
    """Return the list under *key*, an empty one where there is none."""
    found = holder.get(key)
    return cast("list[Any]", found) if isinstance(found, list) else []


def objects_in(holder: Resource, key: str) -> list[Resource]:
    """Return the objects of the list under *key*."""
    return [cast("Resource", each) for each in list_in(holder, key) if isinstance(each, Mapping)]


def text_in(holder: Resource, key: str) -> str | None:
    """Return the value under *key* as a text that Postgres holds, None where there is none."""
    found = holder.get(key)
    return storable(str(found)) if found is not None else None


def storable(value: Any) -> Any:
    """Return JSON *value* without the one character that Postgres does not hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        pairs = cast("Resource", value)
        return {key.replace("\0", ""): storable(each) for key, each in pairs.items()}
    if isinstance(value, list):
        return [storable(each) for each in cast("list[Any]", value)]
    return value
